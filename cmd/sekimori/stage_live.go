package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"sekimori/filter"
	"sekimori/testdata"
)

// caseLive are the protected domains and the lists of a case.
func caseLive(c testdata.Case) (*filter.Live, error) {
	live := &filter.Live{}
	owner := map[string]string{}
	for _, line := range c.Protected {
		domain, customer, _ := strings.Cut(line, " ")
		owner[domain] = strings.TrimSpace(customer)
	}
	domains, err := filter.NewDomains(owner)
	if err != nil {
		return nil, err
	}
	live.SetDomains(domains)
	lists := map[string][]filter.Entry{}
	for _, line := range c.Entries {
		name, rest, _ := strings.Cut(line, " ")
		e, err := caseEntry(rest)
		if err != nil {
			return nil, fmt.Errorf("entry: %s: %w", line, err)
		}
		lists[name] = append(lists[name], e)
	}
	for name, entries := range lists {
		list, err := filter.NewList(entries)
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", name, err)
		}
		live.SetList(name, list)
	}
	return live, nil
}

// caseEntry reads what Entry.String writes, and an expiry.
func caseEntry(text string) (e filter.Entry, err error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return e, errors.New("nothing there")
	}
	e.Block, e.Sender = words[0] == "block", words[0] == "sender"
	if !e.Block && !e.Sender && words[0] != "allow" {
		return e, errors.New("neither allow nor block nor sender")
	}
	for _, w := range words[1:] {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "domain":
			e.Domain = value
		case "address":
			e.Address = value
		case "signer":
			e.Signer = value
		case "unsafe":
			e.Unsafe = value
		case "network":
			e.Network, err = netip.ParsePrefix(value)
		case "expires":
			e.Expires, err = time.Parse(time.RFC3339, value)
		default:
			err = fmt.Errorf("unknown: %s", key)
		}
		if err != nil {
			return e, err
		}
	}
	return e, nil
}
