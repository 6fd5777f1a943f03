package main

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/spf13/cobra"

	"sekimori/config"
	"sekimori/filter/dns"
)

// sourceFlags say who answers in place of the configured DNS servers.
type sourceFlags struct {
	zones    []string
	resolver string
}

func (f *sourceFlags) add(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.zones, "zone", nil, "master `FILE` that answers in place of the DNS; may be repeated")
	c.Flags().StringVar(&f.resolver, "resolver", "", "`ADDRESS:PORT` of the DNS server to ask")
}

// source gives zones, the resolver, or who is configured.
func (f *sourceFlags) source(cfg config.Config) (dns.Source, error) {
	switch {
	case len(f.zones) > 0 && f.resolver != "":
		return nil, usageError{errors.New("--zone and --resolver exclude each other")}
	case len(f.zones) > 0:
		return dns.LoadZones(f.zones...)
	case f.resolver != "":
		if _, err := netip.ParseAddrPort(f.resolver); err != nil {
			return nil, usageError{fmt.Errorf("--resolver %q is not ADDRESS:PORT", f.resolver)}
		}
		cfg.DNS.Servers = []string{f.resolver}
	}
	return newResolver(cfg)
}
