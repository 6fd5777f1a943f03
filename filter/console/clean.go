package console

import (
	"fmt"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxShown bounds a text on a page, in bytes.
const maxShown = 4000

// clean makes a text visible as it is: what would not be seen, or would change
// how its neighbours look (controls, overrides of direction, blanks of no width,
// tags), stands as ⟨U+202E⟩, bytes that are no UTF-8 as ⟨80⟩. What is longer than
// a page can use is cut.
func clean(s string) string {
	plain := true
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			plain = false
			break
		}
	}
	if plain && len(s) <= maxShown {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		if b.Len() > maxShown {
			fmt.Fprintf(&b, " … (+%d bytes)", len(s)-i)
			break
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, "⟨%02X⟩", s[i])
		case r == '\n':
			b.WriteByte('\n') // of replies; anything else that has one shows it as a blank
		case seen(r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, "⟨U+%04X⟩", r)
		}
		i += n
	}
	return b.String()
}

// seen tells whether a rune takes a place of its own on the page. A reader cannot
// tell other blanks from ' ', nor what combines with nothing.
func seen(r rune) bool {
	switch {
	case r == ' ':
		return true
	case unicode.Is(unicode.Variation_Selector, r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r):
		return false
	case r == 0x115F || r == 0x1160 || r == 0x3164 || r == 0xFFA0 || r == 0x2800: // letters that are blank
		return false
	}
	return unicode.IsPrint(r)
}

// cleanAll cleans every text that v points to, deeply: lists and structs. Of
// maps there are none in our types. It is how facts get onto a page, so that nobody
// can forget one.
func cleanAll(v any) { cleanValue(reflect.ValueOf(v), 0) }

// maxDepth is deeper than any of our types.
const maxDepth = 20

func cleanValue(v reflect.Value, depth int) {
	if depth > maxDepth {
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			cleanValue(v.Elem(), depth+1)
		}
	case reflect.Slice:
		for i := range v.Len() {
			cleanValue(v.Index(i), depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				cleanValue(v.Field(i), depth+1)
			}
		}
	case reflect.String:
		if v.CanSet() {
			v.SetString(clean(v.String()))
		}
	}
}
