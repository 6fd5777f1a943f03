package main

import (
	"fmt"
	"os"
	"time"

	"sekimori/config"
	"sekimori/filter"
	"sekimori/filter/dkim"
	"sekimori/filter/dmarc"
	"sekimori/filter/dns"
	"sekimori/filter/mail"
)

// newFilter builds the core.
func newFilter(cfg config.Config, source dns.Source) (*filter.Filter, error) {
	id, err := authservID(cfg)
	if err != nil {
		return nil, err
	}
	texts, err := readTexts(cfg)
	if err != nil {
		return nil, err
	}
	rules := newRules(cfg.Policy, texts)
	rules.Policy.AuthservID, rules.Policy.Aliases, rules.Policy.Trusted = id, cfg.AuthservIDAliases, cfg.TrustedNetworks
	f := filter.Filter{
		Rules:     rules,
		Mixed:     filter.Mixed(cfg.Recipients.Mixed),
		Resolver:  source,
		Timeout:   time.Duration(cfg.DNS.MessageTimeout),
		Queries:   cfg.DNS.MessageQueries,
		Relays:    cfg.TrustedRelays,
		RelayHops: cfg.TrustedRelayHops,
		Subject:   cfg.Log.Subject,
		Now:       time.Now,
	}
	if len(cfg.Tenants) == 0 {
		return &f, nil
	}
	return f.WithTenants(newTenants(cfg), func(layers []int) filter.Rules {
		r := newRules(cfg.PolicyOf(layers...), texts)
		r.Policy.AuthservID, r.Policy.Aliases, r.Policy.Trusted = rules.Policy.AuthservID, rules.Policy.Aliases, rules.Policy.Trusted
		return r
	})
}

func newTenants(cfg config.Config) []filter.Tenant {
	var all []filter.Tenant
	for _, t := range cfg.Tenants {
		all = append(all, filter.Tenant{Name: t.Name, Recipients: t.Recipients, Customers: t.Customers})
	}
	return all
}

// newRules makes rules of one policy of the configuration, but for what is the
// same for all.
func newRules(p config.Policy, t texts) filter.Rules {
	policy := newPolicy(p)
	policy.Texts = t.of(p)
	return filter.Rules{
		Policy:       policy,
		Voids:        p.SPF.MaxVoidLookups,
		DKIM:         dkim.Limits{Signatures: p.DKIM.MaxSignatures, MinRSABits: p.DKIM.MinRSABits, DenyTesting: p.DKIM.DenyTesting},
		DMARC:        dmarc.Options{StrictTreeWalk: p.DMARC.StrictTreeWalk},
		IPRev:        p.IPRev.Enabled || policy.NoReverseName != filter.Accept,
		SenderDomain: policy.SenderMissing != filter.Accept || policy.SenderNullMX != filter.Accept,
	}
}

func newPolicy(c config.Policy) filter.Policy {
	return filter.Policy{
		Shadow:          c.Mode == "shadow",
		Author:          action(c.Author),
		MalformedHeader: action(c.MalformedHeader),
		DMARCReject:     filter.RejectMode(c.DMARC.Reject),
		DMARCQuarantine: action(c.DMARC.Quarantine),
		SPFFail:         action(c.SPF.Fail),
		TempError:       action(c.DMARC.TempError),
		Spoof:           action(c.Spoof),
		Block:           action(c.Block),
		Unauthenticated: action(c.Unauthenticated),
		NoReverseName:   action(c.IPRev.Fail),
		SenderMissing:   action(c.Sender.Missing),
		SenderNullMX:    action(c.Sender.NullMX),
		Lists:           c.Lists,
		Rollout:         byReason(c.Rollout),
		Explain:         c.SPF.Explain,
		HelpURL:         c.HelpURL,
		Replies:         byReason(c.Replies),
	}
}

// action reads one of the words that config allows; any other would defer.
func action(word string) filter.Action {
	if word == "off" {
		return filter.Accept
	}
	for _, a := range []filter.Action{filter.Accept, filter.Tag, filter.Quarantine, filter.Reject} {
		if a.String() == word {
			return a
		}
	}
	return filter.Defer
}

// byReason takes tables whose keys config.KnownReplies and KnownRollouts have seen.
func byReason[T any](table map[string]T) map[filter.Reason]T {
	all := map[filter.Reason]T{}
	for reason, one := range table {
		all[filter.Reason(reason)] = one
	}
	return all
}

// hostname is our SMTP name.
func hostname(cfg config.Config) (string, error) {
	if cfg.Hostname != "" {
		return cfg.Hostname, nil
	}
	name, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("not set, and the operating system knows none: %w", err)
	}
	ascii, err := mail.ASCIIDomain(name)
	if err != nil {
		return "", fmt.Errorf("not set, and the operating system's %q is no domain name: %w", name, err)
	}
	return ascii, nil
}

func authservID(cfg config.Config) (string, error) {
	if cfg.AuthservID != "" {
		return cfg.AuthservID, nil
	}
	return hostname(cfg)
}

func spoolOptions(cfg config.Config) mail.Options {
	return mail.Options{
		Memory:    int64(cfg.Spool.Memory),
		Directory: cfg.Spool.Directory,
		MaxSize:   int64(cfg.Listeners[0].MaxMessageSize),
	}
}
