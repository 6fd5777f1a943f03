package main

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"sekimori/config"
	"sekimori/filter"
)

func newConfig() *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Work on the configuration file",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(&cobra.Command{
		Use:   "check FILE",
		Short: "List all that is wrong with a configuration file",
		Long: `Reads FILE as 'serve' would, certificates and networks included, and lists all
that is wrong with it at once, each with its line. Nothing is started. The sources
of protected domains are read, and told with what is wrong in them; a broken one
is an error where nothing is known of what it had.

Exit status: 0 if the file is good, 1 if it is not, 2 for a wrong command line.`,
		Example: "  sekimori config check /etc/sekimori.toml",
		Args:    oneArg("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := loadConfig(args[0])
			if err != nil {
				return err
			}
			if err := trySources(cfg, c.OutOrStdout()); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s: ok\n", args[0])
			return err
		},
	})
	return c
}

// loadConfig reads a configuration and finds what only the program can know as
// well: unknown reasons, unreadable certificates, a host without a name.
func loadConfig(file string) (config.Config, error) {
	return config.Load(file, config.KnownReplies(reasonWords()), config.KnownRollouts(rolloutWords()), checkHostname, checkCertificate, checkUpstream, checkSpool, checkResolver, checkRecipients, checkTexts, checkHistory, checkProtected)
}

func reasonWords() []string {
	var words []string
	for r := range filter.DefaultReplies() {
		words = append(words, string(r))
	}
	slices.Sort(words)
	return words
}

// rolloutWords are the reasons that can be brought in step by step: those whose
// action is the operator's to choose.
func rolloutWords() []string {
	var words []string
	for _, r := range filter.Reasons() {
		if filter.Staged(r) {
			words = append(words, string(r))
		}
	}
	return words
}

func checkHostname(c config.Config) []config.Problem {
	_, err := hostname(c)
	return problem("hostname", err)
}

func checkCertificate(c config.Config) []config.Problem {
	var all []config.Problem
	for i, l := range c.Listeners {
		_, err := newTLS(l, nil)
		key := "tls_certificate"
		if err == nil && l.TLSClientCA != "" {
			_, err = readCA(l.TLSClientCA)
			key = "tls_client_ca"
		}
		all = append(all, problem(config.ListenerKey(i, key), err)...)
	}
	_, err := newAuthority(c.ACME)
	return append(all, problem("acme.directory_ca", err)...)
}

func checkUpstream(c config.Config) []config.Problem {
	_, err := upstreamTLS(c.Upstream, nil)
	key := "upstream.tls_ca"
	if c.Upstream.TLSCertificate != "" && err != nil {
		if _, bad := upstreamCertificate(c.Upstream, nil); bad != nil {
			key = "upstream.tls_certificate"
		}
	}
	return problem(key, err)
}

// checkSpool tries the directory with a file of no name that is gone at once.
func checkSpool(c config.Config) []config.Problem {
	f, err := os.CreateTemp(c.Spool.Directory, "sekimori-check-*")
	if err == nil {
		err = errors.Join(f.Close(), os.Remove(f.Name()))
	}
	return problem("spool.directory", err)
}

func checkResolver(c config.Config) []config.Problem {
	_, err := newClient(c.DNS.Servers)
	return problem("dns.servers", err)
}

// checkRecipients finds recipients that are none, and those of two tenants.
func checkRecipients(c config.Config) []config.Problem {
	var all []config.Problem
	owners, customers := map[string]string{}, map[string]string{}
	for i, t := range c.Tenants {
		for j, r := range t.Recipients {
			at := config.RecipientKey(i, j)
			key, err := filter.RecipientKey(r)
			owner, taken := owners[key]
			switch {
			case err != nil:
				err = fmt.Errorf(`%q is not a domain, as "example.net" or ".example.net", or an address: %w`, r, err)
			case taken:
				err = fmt.Errorf("%q is a recipient of %s already", r, owner)
			default:
				owners[key] = t.Name
			}
			all = append(all, problem(at, err)...)
		}
		for _, customer := range t.Customers {
			if owner, taken := customers[customer]; taken {
				all = append(all, problem(config.TenantKey(i, "customers"), fmt.Errorf("%q is a customer of %s already", customer, owner))...)
			}
			customers[customer] = t.Name
		}
	}
	return all
}

func problem(key string, err error) []config.Problem {
	if err == nil {
		return nil
	}
	return []config.Problem{{Key: key, Message: err.Error()}}
}
