package sources

import (
	"errors"
	"fmt"
	"strings"

	"sekimori/filter"
)

// owners are domains as A-labels, each with its customer, "" if none is named.
type owners map[string]string

// Domain brings a protected domain into the form in which names are compared.
// Addresses are an error, as is what filter.DomainKey does not take.
func Domain(s string) (string, error) {
	d, err := filter.DomainKey(s)
	if err == nil && strings.Trim(d[strings.LastIndexByte(d, '.')+1:], "0123456789") == "" {
		err = errors.New("an address, not a domain")
	}
	return d, err
}

// collector gathers what a file says, line by line.
type collector struct {
	found     owners
	customers map[string]string // each name once
	fixed     string            // customer of all
	good, bad int               // lines
	told      []string          // the first faults
}

func newCollector(customer string) *collector {
	return &collector{found: owners{}, customers: map[string]string{}, fixed: customer}
}

// add takes the domain of a line. One that stands twice belongs to the customer
// that is named first.
func (c *collector) add(line int, domain, customer string) error {
	d, err := Domain(domain)
	if err != nil {
		c.fault(line, "%s: %v", quote(domain), err)
		return nil
	}
	c.good++
	if c.fixed != "" {
		customer = c.fixed
	} else if customer != "" && checkCustomer(customer) != nil {
		// The domain is what protects; whose it is can be put right later.
		c.tell(line, "%s: the customer %s %v", d, quote(customer), checkCustomer(customer))
		customer = ""
	}
	if owner, known := c.found[d]; known && (owner != "" || customer == "") {
		if customer != "" && owner != customer {
			c.tell(line, "%s is of the customer %s already, not of %s", d, owner, customer)
		}
		return nil
	}
	if len(c.found) == maxDomains {
		return errTooMany
	}
	c.found[strings.Clone(d)] = c.once(customer)
	return nil
}

// once keeps one copy of a name that many lines have, and none of the file.
func (c *collector) once(customer string) string {
	if kept, ok := c.customers[customer]; ok {
		return kept
	}
	customer = strings.Clone(customer)
	c.customers[customer] = customer
	return customer
}

// fault counts a line that names no domain.
func (c *collector) fault(line int, format string, args ...any) {
	c.bad++
	c.tell(line, format, args...)
}

func (c *collector) tell(line int, format string, args ...any) {
	if len(c.told) < maxTold {
		c.told = append(c.told, fmt.Sprintf("line %d: ", line)+fmt.Sprintf(format, args...))
	}
}

// toleratedFaults are lines that are wrong in any file without its being taken
// for something else.
const toleratedFaults = 3

// verdict: a few wrong lines are left out and told. Where more than three lines
// and more than a tenth of them are wrong, or none is right, the file is not what
// it should be, and nothing in it is believed.
func (c *collector) verdict() error {
	if c.bad > 0 && c.good == 0 || c.bad > toleratedFaults && c.bad*10 > c.good+c.bad {
		return fmt.Errorf("%d of %d lines name no domain: %s", c.bad, c.good+c.bad, strings.Join(c.told, "; "))
	}
	return nil
}
