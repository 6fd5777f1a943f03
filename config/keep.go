package config

import (
	"reflect"
	"strings"
)

// Keep is next with the values of present at the keys, or below the tables, that
// fixed names: what a running program can take over of a new file. Lists of
// tables cannot be fixed. Neither argument is changed.
func Keep(present, next Config, fixed ...string) Config {
	from := map[string]reflect.Value{}
	for _, l := range leaves(reflect.ValueOf(present), "") {
		from[l.key] = l.v
	}
	for _, l := range leaves(reflect.ValueOf(&next).Elem(), "") {
		for _, f := range fixed {
			if l.key == f || strings.HasPrefix(l.key, f+".") {
				l.v.Set(from[l.key])
			}
		}
	}
	return next
}
