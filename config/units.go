package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a span of time, written as numbers with units from the largest
// down: "30s", "5m", "1h30m", "1d", "250ms". Never negative, whole milliseconds.
type Duration time.Duration

// Size is a number of bytes, written as one number with its unit: "64B",
// "256KiB" (1024), "10MB" (1000), or as a plain number of bytes.
type Size int64

type unit struct {
	name string
	n    int64
}

// durationUnits from the largest down.
func durationUnits() []unit {
	return []unit{
		{"d", 24 * int64(time.Hour)}, {"h", int64(time.Hour)}, {"m", int64(time.Minute)},
		{"s", int64(time.Second)}, {"ms", int64(time.Millisecond)},
	}
}

// sizeUnits in the order in which String tries them.
func sizeUnits() []unit {
	return []unit{{"GiB", 1 << 30}, {"GB", 1e9}, {"MiB", 1 << 20}, {"MB", 1e6}, {"KiB", 1 << 10}, {"KB", 1e3}, {"B", 1}}
}

var (
	errDuration  = errors.New(`not a duration: write numbers with units, as "30s", "5m", "1h30m" or "1d"`)
	errSize      = errors.New(`not a size: write a number with its unit, as "64B", "256KiB" or "10MB"`)
	errSizeWord  = errors.New(`not a size: the units K, M and G have two readings; write KiB, MiB, GiB (1024) or KB, MB, GB (1000)`)
	errTooLarge  = errors.New("too large to count")
	errNotWhole  = errors.New("not a whole number of milliseconds")
	errNegative  = errors.New("negative")
	errNoNumeral = errors.New("no numeral")
)

// UnmarshalText reads the form that the type's comment describes.
func (d *Duration) UnmarshalText(text []byte) error {
	rest, total, units := string(text), int64(0), durationUnits()
	for len(units) > 0 && rest != "" {
		n, after, err := numeral(rest)
		if err == errTooLarge {
			return err
		}
		if err != nil {
			return errDuration
		}
		letters := len(after) - len(strings.TrimLeft(after, "abcdefghijklmnopqrstuvwxyz"))
		for len(units) > 0 && units[0].name != after[:letters] {
			units = units[1:]
		}
		if len(units) == 0 {
			return errDuration
		}
		if n > (math.MaxInt64-total)/units[0].n {
			return errTooLarge
		}
		total += n * units[0].n
		units, rest = units[1:], after[letters:]
	}
	if rest != "" || len(text) == 0 {
		return errDuration
	}
	*d = Duration(total)
	return nil
}

// MarshalText writes what UnmarshalText reads; an error if it could not.
func (d Duration) MarshalText() ([]byte, error) {
	switch {
	case d < 0:
		return nil, errNegative
	case d%Duration(time.Millisecond) != 0:
		return nil, errNotWhole
	case d == 0:
		return []byte("0s"), nil
	}
	var b []byte
	for _, u := range durationUnits() {
		if n := int64(d) / u.n; n > 0 {
			b = append(strconv.AppendInt(b, n, 10), u.name...)
			d -= Duration(n * u.n)
		}
	}
	return b, nil
}

// String is for people: as in a file, or as time.Duration where a file cannot
// have it.
func (d Duration) String() string {
	if b, err := d.MarshalText(); err == nil {
		return string(b)
	}
	return time.Duration(d).String()
}

// UnmarshalText reads the form that the type's comment describes.
func (s *Size) UnmarshalText(text []byte) error {
	n, word, err := numeral(string(text))
	if err == errTooLarge {
		return err
	}
	if err != nil {
		return errSize
	}
	if word == "" {
		word = "B"
	}
	for _, u := range sizeUnits() {
		if !strings.EqualFold(u.name, word) {
			continue
		}
		if n > math.MaxInt64/u.n {
			return errTooLarge
		}
		*s = Size(n * u.n)
		return nil
	}
	if len(word) == 1 && strings.ContainsAny(word, "kmgKMG") {
		return errSizeWord
	}
	return errSize
}

// MarshalText writes what UnmarshalText reads; an error if it is negative.
func (s Size) MarshalText() ([]byte, error) {
	if s < 0 {
		return nil, errNegative
	}
	return []byte(s.String()), nil
}

// String is the shortest exact form.
func (s Size) String() string {
	best := fmt.Sprintf("%dB", int64(s))
	if s <= 0 {
		return best
	}
	for _, u := range sizeUnits() {
		if t := strconv.FormatInt(int64(s)/u.n, 10) + u.name; int64(s)%u.n == 0 && len(t) < len(best) {
			best = t
		}
	}
	return best
}

// numeral cuts the ASCII digits off the front of s.
func numeral(s string) (n int64, rest string, err error) {
	rest = strings.TrimLeft(s, "0123456789")
	digits := s[:len(s)-len(rest)]
	if digits == "" {
		return 0, s, errNoNumeral
	}
	n, err = strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, rest, errTooLarge
	}
	return n, rest, nil
}
