package config

import "reflect"

// Keep is next with the values of present at all keys that fixed names: what a
// running program can take over of a new file. Neither is changed.
func Keep(present, next Config, fixed func(key string) bool) Config {
	from, to := leaves(reflect.ValueOf(present), ""), leaves(reflect.ValueOf(&next).Elem(), "")
	for i := range to {
		if fixed(to[i].key) {
			to[i].v.Set(from[i].v)
		}
	}
	return next
}
