package config

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
)

// Validate finds all values that are out of their limits or do not go together.
// The error is an *Error without places: Load and Parse have validated already.
func (c Config) Validate() error {
	problems := checkFields(&c)
	for _, q := range conflicts(&c) {
		problems = append(problems, q.Problem)
	}
	if len(problems) == 0 {
		return nil
	}
	return &Error{Problems: problems}
}

// checkFields holds each value against the tags of its field.
func checkFields(c *Config) []Problem {
	var all []Problem
	for _, l := range ownLeaves(c) {
		switch l.v.Kind() {
		case reflect.Slice:
			if l.v.Len() == 0 && l.tag.Get("required") != "" {
				all = append(all, Problem{Key: l.key, Message: "is missing"})
			}
			for i := range l.v.Len() {
				all = append(all, checkValue(leaf{fmt.Sprintf("%s[%d]", l.key, i), l.tag, l.v.Index(i)})...)
			}
		case reflect.Map:
			for _, k := range sortedKeys(l.v) {
				value := l.v.MapIndex(reflect.ValueOf(k))
				all = append(all, checkValue(leaf{table{path: l.key}.join(k), l.tag, value})...)
			}
		default:
			all = append(all, checkValue(l)...)
		}
	}
	return all
}

func checkValue(l leaf) []Problem {
	var err error
	if p, ok := l.v.Interface().(netip.Prefix); ok {
		err = checkNetwork(p)
	} else if l.v.CanInt() {
		err = checkRange(l)
	} else if l.v.Kind() == reflect.String {
		err = checkString(l)
	}
	if err == nil {
		return nil
	}
	return []Problem{{Key: l.key, Message: err.Error()}}
}

func checkRange(l leaf) error {
	low, high := bound(l, "min"), bound(l, "max")
	if i := l.v.Int(); low.Int() <= i && i <= high.Int() {
		return nil
	}
	return fmt.Errorf("%s is out of range: %s to %s", literal(l.v), literal(low), literal(high))
}

// bound reads a limit from a tag as the type of the field.
func bound(l leaf, name string) reflect.Value {
	v := reflect.New(l.v.Type()).Elem()
	var err error
	switch t := v.Addr().Interface().(type) {
	case *Duration:
		err = t.UnmarshalText([]byte(l.tag.Get(name)))
	case *Size:
		err = t.UnmarshalText([]byte(l.tag.Get(name)))
	default:
		err = setInteger(v, l.tag.Get(name))
	}
	if err != nil {
		panic("config: tag " + name + " of " + l.key + ": " + err.Error())
	}
	return v
}

func checkString(l leaf) error {
	s := l.v.String()
	if s == "" && l.tag.Get("required") != "" {
		return errors.New("is missing")
	}
	if words := l.tag.Get("oneof"); words != "" {
		for w := range strings.SplitSeq(words, "|") {
			if s == w {
				return nil
			}
		}
		return fmt.Errorf("%s is not one of %s", quote(s), quoted(words))
	}
	if s == "" && l.tag.Get("empty") == "ok" {
		return nil
	}
	if err := checkText(l.tag.Get("check"), s); err != nil {
		if secret(l.key) {
			return fmt.Errorf("is %w", err)
		}
		return fmt.Errorf("%s is %w", quote(s), err)
	}
	return nil
}

// quoted writes the words of a oneof tag as a list.
func quoted(words string) string { return `"` + strings.ReplaceAll(words, "|", `", "`) + `"` }

func checkNetwork(p netip.Prefix) error {
	switch {
	case !p.IsValid():
		return fmt.Errorf("not a network")
	case p.Addr().Is4In6():
		return fmt.Errorf("%v is IPv4 written as IPv6: write it as IPv4", p)
	case p.Masked() != p:
		return fmt.Errorf("%v has bits below its mask; did you mean %v?", p, p.Masked())
	case p.Bits() == 0:
		return fmt.Errorf(`%v is every address there is; to let all mail through, set policy.mode = "shadow"`, p)
	}
	return nil
}

// conflict is a problem of two keys together.
type conflict struct {
	Problem
	other string
}

// conflicts holds values against each other.
func conflicts(c *Config) []conflict {
	var all []conflict
	add := func(bad bool, key, other, message string) {
		if bad {
			all = append(all, conflict{Problem{Key: key, Message: message}, other})
		}
	}
	listenerConflicts(c, add)
	tenantConflicts(c, add)
	adminConflicts(c.Admin, add)
	upstreamConflicts(c.Upstream, add)
	protectedConflicts(c.Protected, add)
	historyConflicts(c.History, add)
	logConflicts(c.Log, add)
	add(c.Spool.MemoryTotal < c.Spool.Memory, "spool.memory_total", "spool.memory", "is less than spool.memory, which is of one message")
	add(c.DNS.MessageTimeout < c.DNS.Timeout, "dns.message_timeout", "dns.timeout", "is shorter than dns.timeout")
	return all
}
