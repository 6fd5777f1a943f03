package audit

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sekimori/filter/dkim"
	"sekimori/filter/dns"
)

// DKIM is what stands at the selectors.
type DKIM struct {
	Selectors []string  `json:"selectors"` // that were asked for
	Keys      []DKIMKey `json:"keys"`      // what was found at them; those of one selector together
}

// DKIMKey is one key record.
type DKIMKey struct {
	Selector string `json:"selector"` // "*": a wildcard, which answers for every selector
	Name     string `json:"name"`     // of the record
	State    State  `json:"state"`    // "found" or "malformed"; of given selectors "missing" or "failed" too
	Record   string `json:"record"`
	Type     string `json:"type"` // "rsa" or "ed25519"
	Bits     int    `json:"bits"`
	Revoked  bool   `json:"revoked"`
	Testing  bool   `json:"testing"`
	Strict   bool   `json:"strict"` // t=s
	Reason   string `json:"reason"` // why no signature passes under it
}

// noSelector is one that nobody uses: what stands there stands everywhere.
const noSelector = "sekimori-audit-no-such-key"

const maxKeysAtName = 3 // shown of those at one selector

func keyName(selector, domain string) string { return selector + "._domainkey." + domain }

func (a *auditor) auditDKIM(ctx context.Context) {
	d := &a.report.DKIM
	d.Selectors, d.Keys = slices.Clone(a.selectors), []DKIMKey{}
	wildcard := a.wildcard(ctx)
	if wildcard != nil {
		a.readKeys("*", keyName("*", a.domain), wildcard)
	}
	var failed []string
	for _, s := range a.selectors {
		name := keyName(s, a.domain)
		answer := a.ask(ctx, name, dns.TXT)
		switch state := stateOf(answer); {
		case state == Failed:
			if failed = append(failed, s); a.given {
				d.Keys = append(d.Keys, DKIMKey{Selector: s, Name: name, State: Failed, Reason: string(answer.Outcome)})
			}
		case state == Missing && a.given:
			d.Keys = append(d.Keys, DKIMKey{Selector: s, Name: name, State: Missing, Reason: "no TXT record"})
			a.add(DKIMNoKey, name, fmt.Sprintf("There is no key at the selector %s: signatures made with it fail.", s))
		case state == Found && (a.given || !slices.Equal(sorted(answer.TXT), wildcard)):
			a.readKeys(s, name, answer.TXT)
		}
	}
	if len(failed) > 0 {
		a.add(DKIMUnanswered, keyName(failed[0], a.domain), fmt.Sprintf("The DNS did not answer for the key of %s (%s): mail signed with it cannot be verified while that lasts.",
			count(len(failed), "selector"), strings.Join(failed[:min(len(failed), 5)], ", ")))
	}
	a.judgeKeys(len(failed) > 0)
}

// wildcard gives the texts that stand at every selector, sorted; nil if there are
// none, or if it does not matter.
func (a *auditor) wildcard(ctx context.Context) []string {
	if a.given {
		return nil
	}
	for _, s := range a.selectors {
		if stateOf(a.ask(ctx, keyName(s, a.domain), dns.TXT)) == Found {
			return sorted(a.ask(ctx, keyName(noSelector, a.domain), dns.TXT).TXT)
		}
	}
	return nil
}

func sorted(texts []string) []string { return slices.Sorted(slices.Values(texts)) }

// readKeys takes over the key records among the texts at a selector.
func (a *auditor) readKeys(selector, name string, texts []string) {
	var keys []DKIMKey
	var why, text string
	for _, t := range texts[:min(len(texts), maxTexts)] {
		k, ok := dkim.ReadKey(t)
		if !ok {
			if text == "" || looksLikeKey(t) {
				why, text = k.Fault, t
			}
			continue
		}
		key := DKIMKey{Selector: selector, Name: name, State: Found, Record: visible(t), Type: k.Type, Bits: k.Bits,
			Revoked: k.Revoked, Testing: k.Testing, Strict: k.Strict, Reason: k.Fault}
		if k.Fault != "" && !k.Revoked {
			key.State = Malformed
		}
		keys = append(keys, key)
		a.judgeKey(key, t)
	}
	if len(keys) == 0 && (a.given || looksLikeKey(text)) {
		keys = append(keys, DKIMKey{Selector: selector, Name: name, State: Malformed, Record: visible(text), Reason: why})
		a.add(DKIMMalformed, name, fmt.Sprintf("The record at the selector %s is of no use: %s. It begins with %s.", selector, why, quoted(text[:min(len(text), 40)])))
	}
	if len(keys) > 1 {
		// RFC 6376 section 3.6.2.2: the results are undefined.
		a.add(DKIMSeveral, name, fmt.Sprintf("There are %d keys at the selector %s, and verifiers may try any: give each a selector of its own.", len(keys), selector))
	}
	a.report.DKIM.Keys = append(a.report.DKIM.Keys, keys[:min(len(keys), maxKeysAtName)]...)
}

// looksLikeKey finds the records of owners who meant well.
func looksLikeKey(s string) bool {
	s = strings.ToLower(s[:min(len(s), 4096)])
	return strings.Contains(s, "dkim1") || strings.Contains(s, "p=mi") || strings.HasPrefix(s, "k=")
}

func (a *auditor) judgeKey(k DKIMKey, text string) {
	const renew = "make a new pair of 2048 bits and publish it at a new selector"
	switch {
	case k.Revoked && a.mute: // as it should be
	case k.Revoked:
		a.add(DKIMRevoked, k.Name, fmt.Sprintf("The key at the selector %s is revoked (empty p=): see that nothing signs with it any more.", k.Selector))
	case k.Reason != "":
		a.add(DKIMMalformed, k.Name, fmt.Sprintf("No signature passes under the key at the selector %s: %s.", k.Selector, k.Reason))
	case k.Type == "rsa" && k.Bits < 1024:
		// RFC 8301 section 3.2.
		a.add(DKIMShort, k.Name, fmt.Sprintf("The key at the selector %s has %d bits: below 1024 no signature counts; %s.", k.Selector, k.Bits, renew))
	case k.Type == "rsa" && k.Bits < 2048:
		a.add(DKIM1024, k.Name, fmt.Sprintf("The key at the selector %s has %d bits: 2048 are recommended; %s.", k.Selector, k.Bits, renew))
	case k.Type == "rsa" && k.Bits > 4096:
		a.add(DKIMLong, k.Name, fmt.Sprintf("The key at the selector %s has %d bits: not everybody verifies more than 4096; %s.", k.Selector, k.Bits, renew))
	}
	if k.Testing && !k.Revoked {
		a.add(DKIMTesting, k.Name, fmt.Sprintf("The key at the selector %s is marked as a test (t=y), so receivers may treat its mail as unsigned.", k.Selector),
			txt(k.Name, withoutTesting(text)))
	}
}

// withoutTesting takes the flag y out of t=.
func withoutTesting(text string) string {
	var parts []string
	for part := range strings.SplitSeq(text, ";") {
		name, value, _ := strings.Cut(part, "=")
		if strings.TrimSpace(name) == "t" {
			flags := strings.Split(value, ":")
			flags = slices.DeleteFunc(flags, func(f string) bool { return strings.TrimSpace(f) == "y" })
			if len(flags) == 0 {
				continue
			}
			part = name + "=" + strings.Join(flags, ":")
		}
		parts = append(parts, part)
	}
	return strings.TrimSpace(strings.Join(parts, ";"))
}

// judgeKeys judges what there is as a whole.
func (a *auditor) judgeKeys(failed bool) {
	usable := map[string]int{}
	for _, k := range a.report.DKIM.Keys {
		if k.State == Found && k.Reason == "" {
			usable[k.Type]++
		}
	}
	name := "_domainkey." + a.domain
	switch n := usable["rsa"] + usable["ed25519"]; {
	case n == 0 && a.mute && a.clean("dkim"):
		a.add(DKIMOK, name, "No key can be used, and none is needed by a domain without mail.")
	case len(a.report.DKIM.Keys) == 0 && !failed:
		a.add(DKIMMissing, name, fmt.Sprintf("There is no key at any of the %d usual selectors: give the ones in use with --selector, or begin to sign, for without DKIM forwarded mail fails.",
			len(a.selectors)))
	case n > 0 && usable["rsa"] == 0:
		// RFC 8463 section 5: an RSA signature beside it, for those who know no other.
		a.add(DKIMEd25519Only, name, "All keys are Ed25519, which many receivers cannot verify: sign with an RSA key of 2048 bits as well.")
	case n > 0 && a.clean("dkim"):
		a.add(DKIMOK, name, fmt.Sprintf("%s can be used.", count(n, "key")))
	}
}
