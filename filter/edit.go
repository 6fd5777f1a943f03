package filter

import (
	"fmt"
	"slices"
	"strings"

	"sekimori/filter/authres"
	"sekimori/filter/iprev"
	"sekimori/filter/mail"
)

// VerdictField is the header field by which the MTA files a message. Received
// ones are dropped, as is every other field that begins with "X-Sekimori-".
const VerdictField = "X-Sekimori-Verdict"

// edit says what is dropped and what is put on top. Our results stand above
// all else (RFC 8601 section 4.1).
func (p *Policy) edit(m *mail.Message, v Verdict) Edit {
	drop := append(authres.Forged(m.Header, p.ids()), authres.Prefixed(m.Header, "X-Sekimori-")...)
	slices.Sort(drop)
	results := authres.Results{ID: p.AuthservID, Methods: methods(m, v)}
	return Edit{
		Drop:    slices.Compact(drop),
		Prepend: []string{results.Field(), verdictField(m, v)},
	}
}

func (p *Policy) ids() []string { return append([]string{p.AuthservID}, p.Aliases...) }

// verdictField begins with what was done, so that an MTA's rule on its first
// word never files a message that is let through in shadow mode.
func verdictField(m *mail.Message, v Verdict) string {
	words := []string{v.Enforced().String(), "reason=" + string(v.Reason)}
	if v.Shadow {
		words = append(words, "shadow="+v.Action.String())
	}
	for _, d := range m.Defects {
		words = append(words, "defect="+string(d))
	}
	if m.Envelope.ID != "" {
		words = append(words, "id="+m.Envelope.ID)
	}
	return VerdictField + ": " + strings.Join(words, ";\r\n ") + "\r\n"
}

func methods(m *mail.Message, v Verdict) []authres.Method {
	r := v.Results
	if !r.Checked {
		return nil
	}
	var all []authres.Method
	if r.IPRev.Word != iprev.None {
		all = append(all, authres.Method{Name: "iprev", Result: string(r.IPRev.Word), Reason: r.IPRev.Reason,
			Properties: []authres.Property{{Type: "policy", Name: "iprev", Value: r.sender(m.Envelope).String()}}})
	}
	all = append(all, spfMethods(m, r)...)
	all = append(all, dkimMethods(r)...)
	return append(all, dmarcMethod(v))
}

// spfMethods puts MAIL FROM first: a reader that takes the first spf= takes the
// one that counts. RFC 7208 section 2.4: for the null sender both are HELO's.
func spfMethods(m *mail.Message, r Results) []authres.Method {
	mailFrom, helo := r.SPF.MailFrom, r.SPF.Helo
	if m.Envelope.MailFrom == "" {
		return []authres.Method{spfMethod(string(mailFrom.Word), mailFrom.Reason, "helo", mailFrom.Domain)}
	}
	all := []authres.Method{spfMethod(string(mailFrom.Word), mailFrom.Reason, "mailfrom", mailFrom.Domain)}
	if helo.Domain != "" {
		all = append(all, spfMethod(string(helo.Word), helo.Reason, "helo", helo.Domain))
	}
	return all
}

func spfMethod(word, reason, identity, domain string) authres.Method {
	a := authres.Method{Name: "spf", Result: word, Reason: reason}
	if domain != "" {
		a.Properties = []authres.Property{{Type: "smtp", Name: identity, Value: domain}}
	}
	return a
}

func dkimMethods(r Results) []authres.Method {
	if len(r.DKIM) == 0 {
		return []authres.Method{{Name: "dkim", Result: "none"}}
	}
	var all []authres.Method
	for _, d := range r.DKIM {
		a := authres.Method{Name: "dkim", Result: string(d.Word), Reason: d.Reason}
		if d.Testing {
			a.Comment = "test key"
		}
		for _, p := range [][2]string{{"d", d.Domain}, {"s", d.Selector}, {"a", d.Algorithm}, {"i", d.Identifier}, {"b", d.B}} {
			if p[1] != "" {
				a.Properties = append(a.Properties, authres.Property{Type: "header", Name: p[0], Value: p[1]})
			}
		}
		all = append(all, a)
	}
	return all
}

// dmarcMethod follows RFC 9989 section 9: policy.dmarc is the policy in force.
func dmarcMethod(v Verdict) authres.Method {
	d := v.Results.DMARC
	a := authres.Method{Name: "dmarc", Result: string(d.Word), Reason: d.Reason}
	if d.Policy != "" {
		a.Comment = fmt.Sprintf("p=%s dis=%s", d.Policy, disposition(v.Enforced()))
	}
	if d.AuthorDomain != "" {
		a.Properties = append(a.Properties, authres.Property{Type: "header", Name: "from", Value: d.AuthorDomain})
	}
	if d.Effective != "" {
		a.Properties = append(a.Properties, authres.Property{Type: "policy", Name: "dmarc", Value: string(d.Effective)})
	}
	return a
}

// disposition is the action in the words of RFC 9990 section 3.1.
func disposition(a Action) string {
	switch a {
	case Reject, Quarantine:
		return a.String()
	}
	return "none"
}
