package config

import (
	"fmt"
	"reflect"
	"strings"
)

// didYouMean ends a message about a word that is not known with the nearest
// known one, or is "".
func didYouMean(word string, known []string) string {
	if best := nearest(word, known); best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	return ""
}

// suggestion ends a message about a name that t does not know: the nearest that
// it knows, or where else in the file that very name belongs.
func suggestion(t table, name string) string {
	var names []string
	for i := range t.v.NumField() {
		if f := t.v.Type().Field(i); f.IsExported() {
			names = append(names, f.Tag.Get("toml"))
		}
	}
	if s := didYouMean(name, names); s != "" {
		return s
	}
	var places []string
	name = strings.ToLower(strings.ReplaceAll(name, "-", "_"))
	root := table{v: reflect.ValueOf(Default())}
	if field, ok := root.field(name); ok && (isTable(field) || isTables(field)) {
		return fmt.Sprintf("; [%s] is a table of its own", name)
	} else if ok {
		return fmt.Sprintf("; %q stands before the first [table]", name)
	}
	for _, path := range paths(root.v, "") {
		if strings.HasSuffix(path, "."+name) {
			places = append(places, fmt.Sprintf("%q", path))
		}
	}
	if len(places) == 0 {
		return ""
	}
	return "; did you mean " + strings.Join(places, " or ") + "?"
}

// paths lists all keys and tables that are there by default.
func paths(v reflect.Value, path string) []string {
	var all []string
	for i := range v.NumField() {
		key := table{path: path}.join(v.Type().Field(i).Tag.Get("toml"))
		all = append(all, key)
		switch {
		case isTables(v.Field(i)) && v.Field(i).Len() > 0:
			all = append(all, paths(v.Field(i).Index(0), key)...)
		case v.Field(i).Kind() == reflect.Struct:
			all = append(all, paths(v.Field(i), key)...)
		}
	}
	return all
}

// nearest is the known word that a slip of the hand would turn into word; ""
// if there is none. The first wins among equals.
func nearest(word string, known []string) string {
	best, bound := "", min(3, 1+len(word)/4)
	for _, k := range known {
		// Words this different cannot be near; it also bounds the work.
		if len(word) > len(k)+bound || len(k) > len(word)+bound {
			continue
		}
		if d := distance(word, k); d <= bound && d < len(k) {
			best, bound = k, d-1
		}
	}
	return best
}

// distance counts insertions, deletions, replacements and swaps of neighbours
// (optimal string alignment).
func distance(a, b string) int {
	var before []int // the row above the one above
	above := make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above = above, row
	}
	return above[len(b)]
}
