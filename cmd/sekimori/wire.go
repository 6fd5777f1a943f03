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
	rules, err := newRules(cfg, cfg.Policy)
	if err != nil {
		return nil, err
	}
	f := filter.Filter{
		Rules:     rules,
		Mixed:     filter.Mixed(cfg.Recipients.Mixed),
		Resolver:  source,
		Timeout:   time.Duration(cfg.DNS.MessageTimeout),
		Queries:   cfg.DNS.MessageQueries,
		Relays:    cfg.TrustedRelays,
		RelayHops: cfg.TrustedRelayHops,
		Now:       time.Now,
	}
	if len(cfg.Tenants) == 0 {
		return &f, nil
	}
	tenants, err := newTenants(cfg)
	if err != nil {
		return nil, err
	}
	return f.WithTenants(tenants)
}

func newTenants(cfg config.Config) ([]filter.Tenant, error) {
	var all []filter.Tenant
	for _, t := range cfg.Tenants {
		rules, err := newRules(cfg, t.Policy)
		if err != nil {
			return nil, err
		}
		all = append(all, filter.Tenant{Name: t.Name, Recipients: t.Recipients, Rules: rules})
	}
	return all, nil
}

// newRules makes rules of one policy of the configuration.
func newRules(cfg config.Config, p config.Policy) (filter.Rules, error) {
	policy, err := newPolicy(cfg, p)
	return filter.Rules{
		Policy: policy,
		Voids:  p.SPF.MaxVoidLookups,
		DKIM:   dkim.Limits{Signatures: p.DKIM.MaxSignatures, MinRSABits: p.DKIM.MinRSABits, DenyTesting: p.DKIM.DenyTesting},
		DMARC:  dmarc.Options{StrictTreeWalk: p.DMARC.StrictTreeWalk},
		IPRev:  p.IPRev.Enabled,
	}, err
}

func newPolicy(cfg config.Config, c config.Policy) (filter.Policy, error) {
	id, err := authservID(cfg)
	if err != nil {
		return filter.Policy{}, err
	}
	return filter.Policy{
		AuthservID:      id,
		Aliases:         cfg.AuthservIDAliases,
		Trusted:         cfg.TrustedNetworks,
		Shadow:          c.Mode == "shadow",
		Author:          action(c.Author),
		MalformedHeader: action(c.MalformedHeader),
		DMARCReject:     filter.RejectMode(c.DMARC.Reject),
		DMARCQuarantine: action(c.DMARC.Quarantine),
		SPFFail:         action(c.SPF.Fail),
		TempError:       action(c.DMARC.TempError),
		Explain:         c.SPF.Explain,
		HelpURL:         c.HelpURL,
		Replies:         newReplies(c.Replies),
	}, nil
}

// action reads one of the words that config allows; any other would defer.
func action(word string) filter.Action {
	for _, a := range []filter.Action{filter.Accept, filter.Tag, filter.Quarantine, filter.Reject} {
		if a.String() == word {
			return a
		}
	}
	return filter.Defer
}

// newReplies takes texts whose keys config.KnownReplies has seen.
func newReplies(texts map[string]string) map[filter.Reason]string {
	replies := map[filter.Reason]string{}
	for reason, text := range texts {
		replies[filter.Reason(reason)] = text
	}
	return replies
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
