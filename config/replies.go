package config

import (
	"reflect"
	"slices"
	"strings"
)

// KnownReplies is a Check that policy.replies names only the given reasons, a
// tenant's too.
func KnownReplies(reasons []string) Check {
	return func(c Config) []Problem {
		var all []Problem
		for _, l := range ownLeaves(&c) {
			if l.v.Kind() == reflect.Map && strings.HasSuffix(l.key, "policy.replies") {
				all = append(all, unknownReplies(l, reasons)...)
			}
		}
		return all
	}
}

func unknownReplies(l leaf, reasons []string) []Problem {
	var all []Problem
	for _, name := range sortedKeys(l.v) {
		if !slices.Contains(reasons, name) {
			all = append(all, Problem{
				Key:     table{path: l.key}.join(name),
				Message: "no reply has this reason" + didYouMean(name, reasons),
			})
		}
	}
	return all
}
