package config

import (
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// isTable tells tables from values.
func isTable(v reflect.Value) bool {
	return v.Kind() == reflect.Map || v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[netip.Prefix]()
}

// set puts a value of the file into its field.
func (d *decoder) set(v reflect.Value, key string, n *unstable.Node) {
	switch {
	case isTable(v) && n.Kind == unstable.InlineTable:
		for it := n.Children(); !d.more && it.Next(); {
			d.assign(table{v, key}, it.Node())
		}
	case isTables(v) && n.Kind == unstable.InlineTable:
		v.SetZero()
		d.set(lastTable(v, key).v, key, n)
	case v.Kind() == reflect.Slice && n.Kind == unstable.Array:
		d.setList(v, key, n)
	default:
		if err := setScalar(v, n); err != nil {
			d.fault(key, d.values[key], "%s", err)
		}
	}
}

func (d *decoder) setList(v reflect.Value, key string, n *unstable.Node) {
	v.SetZero()
	for it := n.Children(); !d.more && it.Next(); {
		elem := reflect.New(v.Type().Elem()).Elem()
		name := fmt.Sprintf("%s[%d]", key, v.Len())
		if isTables(v) {
			if v.Len() == maxTables(v) {
				d.fault(key, d.values[key], "has more than %d tables", maxTables(v))
				return
			}
			elem.Set(newTable(v))
			name = tablePath(key, v.Len())
		}
		d.values[name] = d.values[key]
		if raw := it.Node().Raw; raw.Length > 0 {
			d.values[name] = d.span(raw)
		}
		d.set(elem, name, it.Node())
		v.Set(reflect.Append(v, elem))
	}
}

func setScalar(v reflect.Value, n *unstable.Node) error {
	text, isText := v.Addr().Interface().(encoding.TextUnmarshaler)
	prefix, isPrefix := v.Addr().Interface().(*netip.Prefix)
	var err error
	switch {
	case isPrefix && n.Kind == unstable.String:
		*prefix, err = parseNetwork(string(n.Data))
	case isText && n.Kind == unstable.String:
		err = text.UnmarshalText(n.Data)
	case v.Kind() == reflect.String && n.Kind == unstable.String:
		v.SetString(string(n.Data))
	case v.Kind() == reflect.Bool && n.Kind == unstable.Bool:
		v.SetBool(string(n.Data) == "true")
	case v.CanInt() && v.Type() != reflect.TypeFor[Duration]() && n.Kind == unstable.Integer:
		return setInteger(v, string(n.Data))
	default:
		return fmt.Errorf("must be %s, not %s", wanted(v), got(n.Kind))
	}
	if err != nil {
		return fmt.Errorf("%s is %w", quote(string(n.Data)), err)
	}
	return nil
}

func setInteger(v reflect.Value, text string) error {
	i, err := strconv.ParseInt(text, 0, 64)
	if err != nil || v.OverflowInt(i) {
		return errors.New("the number is too large to count")
	}
	v.SetInt(i)
	return nil
}

// wanted names what a field takes.
func wanted(v reflect.Value) string {
	switch v.Interface().(type) {
	case Duration:
		return `a duration in quotes, as "30s" or "5m"`
	case Size:
		return `a size in quotes, as "64KiB" or "25MiB", or a number of bytes`
	case netip.Prefix:
		return "a network or an address in quotes"
	}
	if isTables(v) {
		return "a table"
	}
	switch v.Kind() {
	case reflect.String:
		return "text in quotes"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return `a list, as [ "...", "..." ]`
	case reflect.Struct, reflect.Map:
		return "a table"
	}
	return "a whole number"
}

// got names what the file has.
func got(k unstable.Kind) string {
	switch k {
	case unstable.String:
		return "text"
	case unstable.Bool:
		return "true or false"
	case unstable.Integer:
		return "a number"
	case unstable.Float:
		return "a number with a fraction"
	case unstable.Array:
		return "a list"
	case unstable.InlineTable:
		return "a table"
	}
	return "a date or time"
}

// parseNetwork reads a network, or an address as the network of itself.
func parseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		p, err := a.Prefix(a.BitLen())
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, errors.New("an address with a zone, which no network has")
		}
		return p, nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, errors.New(`not a network: write "192.0.2.0/24", "2001:db8::/32" or one address`)
	}
	return p, nil
}

// leaf is one key with its value.
type leaf struct {
	key string
	tag reflect.StructTag
	v   reflect.Value
}

// leaves lists all keys of a table in the order of the structs. A map is one leaf.
func leaves(v reflect.Value, path string) []leaf {
	var all []leaf
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() {
			continue
		}
		key := table{path: path}.join(f.Tag.Get("toml"))
		switch {
		case isTables(v.Field(i)):
			for j := range v.Field(i).Len() {
				all = append(all, leaves(v.Field(i).Index(j), tablePath(key, j))...)
			}
		case v.Field(i).Kind() == reflect.Struct:
			all = append(all, leaves(v.Field(i), key)...)
		default:
			all = append(all, leaf{key, f.Tag, v.Field(i)})
		}
	}
	return all
}

// literal writes a value as a file would have it.
func literal(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case Duration:
		return strconv.Quote(x.String())
	case Size:
		return strconv.Quote(x.String())
	case netip.Prefix:
		return strconv.Quote(x.String())
	}
	var items []string
	switch v.Kind() {
	case reflect.String:
		return strconv.Quote(v.String())
	case reflect.Slice:
		for i := range v.Len() {
			items = append(items, literal(v.Index(i)))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case reflect.Map:
		for _, k := range sortedKeys(v) {
			items = append(items, keyText(k)+" = "+literal(v.MapIndex(reflect.ValueOf(k))))
		}
		return "{" + strings.Join(items, ", ") + "}"
	}
	return fmt.Sprint(v.Interface())
}

func sortedKeys(m reflect.Value) []string {
	var keys []string
	for _, k := range m.MapKeys() {
		keys = append(keys, k.String())
	}
	slices.Sort(keys)
	return keys
}

// Diff lists the keys whose values differ, for the log of a reload:
// `listener.max_recipients: 100 -> 200`. A key of a table that is not there on
// one side has no value there: `listener[1].name: -> "inside"`. Tenants are told by
// their names, and of their policies what they do not have from [policy].
func Diff(before, after Config) []string {
	var all []string
	then, now := namedLeaves(&before), namedLeaves(&after)
	old, next := literals(then), literals(now)
	for _, l := range now {
		if a, b := old[l.key], next[l.key]; a != b {
			all = append(all, difference(l.key, a, b))
		}
	}
	for _, l := range then {
		if _, stays := next[l.key]; !stays {
			all = append(all, l.key+": "+old[l.key]+" ->")
		}
	}
	return all
}

func difference(key, a, b string) string {
	if a == "" {
		return key + ": -> " + b
	}
	return key + ": " + a + " -> " + b
}

// literals gives the values of keys.
func literals(keys []leaf) map[string]string {
	all := map[string]string{}
	for _, l := range keys {
		all[l.key] = literal(l.v)
		if secret(l.key) {
			sum := sha256.Sum256([]byte(l.v.String()))
			all[l.key] = "(secret " + hex.EncodeToString(sum[:3]) + ")" // tells that it has changed, not what it is
		}
	}
	return all
}
