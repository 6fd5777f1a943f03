package config

import (
	"reflect"
	"slices"
)

// Keep is next with the values of present at the keys that are named: what a
// running program can take over of a new file. Neither is changed.
func Keep(present, next Config, fixed ...string) Config {
	next.Listeners = slices.Clone(next.Listeners)
	from := map[string]reflect.Value{}
	for _, l := range leaves(reflect.ValueOf(present), "") {
		from[l.key] = l.v
	}
	for _, to := range leaves(reflect.ValueOf(&next).Elem(), "") {
		if v, ok := from[to.key]; ok && slices.Contains(fixed, to.key) {
			to.v.Set(v)
		}
	}
	return next
}
