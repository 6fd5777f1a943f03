package config

import (
	"bytes"
	"maps"
	"reflect"
	"slices"
	"sort"
)

// Setting is a key of [policy] as it holds for somebody, and who said so.
type Setting struct {
	Key    string // without "policy.": "dmarc.reject", "replies.spf_fail"
	Value  string // as a file would have it
	Tenant int    // index of Config.Tenants; -1: [policy], or the default where that does not set it
}

// PolicyOf is the policy of recipients who are of several tenants, given by their
// indices, the nearest last: each key is as the nearest who sets it has it.
func (c Config) PolicyOf(tenants ...int) Policy {
	p := c.Policy
	p.Replies, p.Rollout = maps.Clone(p.Replies), maps.Clone(p.Rollout)
	into := policyOf(&p)
	for _, i := range tenants {
		c.overlay(into, i, func(string) {})
	}
	return p
}

// Settings explains PolicyOf key by key, in the order of the sample file; entries
// of tables that have any name are keys of their own.
func (c Config) Settings(tenants ...int) []Setting {
	p := c.PolicyOf(tenants...)
	from := map[string]int{}
	for _, i := range tenants {
		scratch := c.Policy
		scratch.Replies, scratch.Rollout = map[string]string{}, map[string]int{}
		c.overlay(policyOf(&scratch), i, func(key string) { from[key] = i })
	}
	var all []Setting
	add := func(key string, v reflect.Value) {
		tenant, set := from[key]
		if !set {
			tenant = -1
		}
		all = append(all, Setting{key, literal(v), tenant})
	}
	for _, l := range policyOf(&p) {
		if l.v.Kind() != reflect.Map {
			add(l.key, l.v)
			continue
		}
		for _, k := range sortedKeys(l.v) {
			add(table{path: l.key}.join(k), l.v.MapIndex(reflect.ValueOf(k)))
		}
	}
	return all
}

// overlay puts what a tenant sets himself over a policy.
func (c *Config) overlay(into []leaf, tenant int, tell func(key string)) {
	base := policyOf(&c.Policy)
	for j, own := range policyOf(&c.Tenants[tenant].Policy) {
		if own.v.Kind() != reflect.Map {
			if c.sets(tenant, own.key, base[j].v, own.v) {
				into[j].v.Set(own.v)
				tell(own.key)
			}
			continue
		}
		for _, k := range own.v.MapKeys() {
			key, value := table{path: own.key}.join(k.String()), own.v.MapIndex(k)
			if !c.sets(tenant, key, base[j].v.MapIndex(k), value) {
				continue
			}
			if into[j].v.IsNil() {
				into[j].v.Set(reflect.MakeMap(own.v.Type()))
			}
			into[j].v.SetMapIndex(k, value)
			tell(key)
		}
	}
}

// sets tells whether a tenant sets a key himself. Where no file says so, it is
// what differs from [policy].
func (c *Config) sets(tenant int, key string, base, own reflect.Value) bool {
	if set := c.Tenants[tenant].own; set != nil {
		return set[key]
	}
	return !base.IsValid() || !reflect.DeepEqual(base.Interface(), own.Interface())
}

// Lines gives the line of each key that a file sets, by its path as problems have
// it: "policy.mode", "tenant[1].policy.replies.spf_fail". It is empty for data that
// Parse does not take.
func Lines(data []byte) map[string]int {
	c := Default()
	d := newDecoder(bytes.TrimPrefix(data, []byte(byteOrderMark)), &c)
	d.document()
	if len(d.faults) > 0 {
		return nil
	}
	var ends []int
	for i, b := range d.doc {
		if b == '\n' {
			ends = append(ends, i)
		}
	}
	all := make(map[string]int, len(d.values))
	for key, s := range d.values {
		all[key] = 1 + sort.SearchInts(ends, s.start)
	}
	return all
}

// Path is the path of a setting's key in the file.
func (s Setting) Path() string {
	if s.Tenant < 0 {
		return "policy." + s.Key
	}
	return tablePath("tenant", s.Tenant) + ".policy." + s.Key
}

// KnownRollouts is a Check that policy.rollout names only the given reasons, a
// tenant's too.
func KnownRollouts(reasons []string) Check {
	return func(c Config) []Problem {
		var all []Problem
		for _, l := range ownLeaves(&c) {
			if l.v.Type() != reflect.TypeFor[map[string]int]() {
				continue
			}
			for _, name := range sortedKeys(l.v) {
				if !slices.Contains(reasons, name) {
					all = append(all, Problem{Key: table{path: l.key}.join(name), Message: "no rule has this reason" + didYouMean(name, reasons)})
				}
			}
		}
		return all
	}
}
