package config

import (
	"fmt"
	"reflect"
	"time"
)

// maxTables bounds a list of tables.
func maxTables(list reflect.Value) int {
	if list.Type().Elem() == reflect.TypeFor[Tenant]() {
		return 10000
	}
	return 100
}

// isTables tells lists of tables, as [[listener]], from other lists.
func isTables(v reflect.Value) bool {
	return v.Kind() == reflect.Slice && isTable(reflect.Zero(v.Type().Elem()))
}

// newTable is a table for a list with its defaults in it.
func newTable(list reflect.Value) reflect.Value {
	switch list.Type().Elem() {
	case reflect.TypeFor[Listener]():
		return reflect.ValueOf(defaultListener())
	case reflect.TypeFor[Server]():
		return reflect.ValueOf(Server{Weight: 1})
	case reflect.TypeFor[Source]():
		return reflect.ValueOf(Source{Kind: "list", Interval: Duration(30 * time.Second), Timeout: Duration(10 * time.Second)})
	case reflect.TypeFor[Tenant]():
		return reflect.ValueOf(Tenant{Policy: defaultPolicy()})
	}
	return reflect.Zero(list.Type().Elem())
}

// tablePath is the key of a table in a list. The first is called as if it were
// alone, which it mostly is.
func tablePath(path string, i int) string {
	if i == 0 {
		return path
	}
	return fmt.Sprintf("%s[%d]", path, i)
}

// lastTable is where keys below a list belong.
func lastTable(list reflect.Value, path string) table {
	if list.Len() == 0 {
		list.Set(reflect.Append(list, newTable(list)))
	}
	i := list.Len() - 1
	return table{list.Index(i), tablePath(path, i)}
}

// add takes [[a.b]]; the first takes the place of the default.
func (d *decoder) add(list reflect.Value, path string, s span) *table {
	m, seen := d.marks[path]
	switch {
	case seen && m.kind != listed:
		d.twice(path, s, m)
		return nil
	case !seen:
		list.SetZero()
	case list.Len() == maxTables(list):
		d.fault(path, s, "has more than %d tables", maxTables(list))
		return nil
	}
	list.Set(reflect.Append(list, newTable(list)))
	last := lastTable(list, path)
	d.marks[last.path] = mark{listed, s}
	return &last
}
