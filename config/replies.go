package config

import (
	"reflect"
	"slices"
)

// KnownReplies is a Check that policy.replies names only the given reasons.
func KnownReplies(reasons []string) Check {
	return func(c Config) []Problem {
		var all []Problem
		for _, name := range sortedKeys(reflect.ValueOf(c.Policy.Replies)) {
			if !slices.Contains(reasons, name) {
				all = append(all, Problem{
					Key:     table{path: "policy.replies"}.join(name),
					Message: "no reply has this reason" + didYouMean(name, reasons),
				})
			}
		}
		return all
	}
}
