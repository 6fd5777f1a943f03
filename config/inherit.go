package config

import (
	"fmt"
	"reflect"
	"strings"
)

// RecipientKey is the key of a recipient, for problems that only the program can
// find; both count from 0.
func RecipientKey(tenant, recipient int) string {
	return fmt.Sprintf("%s.recipients[%d]", tablePath("tenant", tenant), recipient)
}

// TenantKey is a key of a tenant, counted from 0.
func TenantKey(tenant int, key string) string { return tablePath("tenant", tenant) + "." + key }

// policyOf gives the keys of a tenant's policy without their path, in the order
// of those of [policy].
func policyOf(p *Policy) []leaf { return leaves(reflect.ValueOf(p).Elem(), "") }

// inherit gives tenants what [policy] says and they do not.
func (d *decoder) inherit(c *Config) {
	base := policyOf(&c.Policy)
	for i := range c.Tenants {
		path := tablePath("tenant", i) + ".policy."
		c.Tenants[i].own = map[string]bool{}
		for j, own := range policyOf(&c.Tenants[i].Policy) {
			if own.v.Kind() == reflect.Map {
				for _, k := range own.v.MapKeys() {
					c.Tenants[i].own[table{path: own.key}.join(k.String())] = true
				}
				merge(own.v, base[j].v)
			} else if _, set := d.values[path+own.key]; set {
				c.Tenants[i].own[own.key] = true
			} else {
				own.v.Set(base[j].v)
			}
		}
	}
}

// merge puts into own what it has not of base.
func merge(own, base reflect.Value) {
	if base.Len() > 0 && own.IsNil() {
		own.Set(reflect.MakeMap(own.Type()))
	}
	for _, k := range base.MapKeys() {
		if !own.MapIndex(k).IsValid() {
			own.SetMapIndex(k, base.MapIndex(k))
		}
	}
}

// ownLeaves are all keys but those of tenants that are as in [policy], so that
// what is wrong there is told once.
func ownLeaves(c *Config) []leaf {
	base := map[string]reflect.Value{}
	for _, l := range leaves(reflect.ValueOf(c.Policy), "policy") {
		base[l.key] = l.v
	}
	var all []leaf
	for _, l := range leaves(reflect.ValueOf(c).Elem(), "") {
		at, key, _ := strings.Cut(l.key, ".")
		inherited, ok := base[key]
		switch {
		case !ok || at != "tenant" && !strings.HasPrefix(at, "tenant["):
		case l.v.Kind() == reflect.Map:
			if l.v = without(l.v, inherited); l.v.Len() == 0 {
				continue
			}
		case reflect.DeepEqual(l.v.Interface(), inherited.Interface()):
			continue
		}
		all = append(all, l)
	}
	return all
}

// namedLeaves are ownLeaves with the names of tenants in place of their numbers.
func namedLeaves(c *Config) []leaf {
	names := map[string]string{}
	for i, t := range c.Tenants {
		names[tablePath("tenant", i)] = keyText(t.Name)
	}
	all := ownLeaves(c)
	for i, l := range all {
		at, key, _ := strings.Cut(l.key, ".")
		if name, ok := names[at]; ok {
			all[i].key = "tenant " + name + "." + key
		}
	}
	return all
}

// without gives the entries of a map that another has not.
func without(m, other reflect.Value) reflect.Value {
	rest := reflect.MakeMap(m.Type())
	for _, k := range m.MapKeys() {
		if v := other.MapIndex(k); !v.IsValid() || !v.Equal(m.MapIndex(k)) {
			rest.SetMapIndex(k, m.MapIndex(k))
		}
	}
	return rest
}

// tenantConflicts finds tenants that are called the same, and those of nobody.
func tenantConflicts(c *Config, add func(bad bool, key, other, message string)) {
	first := map[string]string{}
	for i, t := range c.Tenants {
		path := tablePath("tenant", i)
		earlier, taken := first[t.Name]
		add(taken, path+".name", path, "is the name of "+earlier+" already")
		if !taken {
			first[t.Name] = path
		}
		add(len(t.Recipients)+len(t.Customers) == 0, path+".recipients", path, "is missing, and so is customers")
	}
}
