package config

import (
	"math"
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0s": 0, "30s": 30 * time.Second, "5m": 5 * time.Minute, "1h30m": 90 * time.Minute, "1d": 24 * time.Hour,
		"250ms": 250 * time.Millisecond, "1m5ms": time.Minute + 5*time.Millisecond, "90m": 90 * time.Minute, "1d2h3m4s5ms": 26*time.Hour + 3*time.Minute + 4*time.Second + 5*time.Millisecond,
	} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || time.Duration(d) != want {
			t.Errorf("%s: %v, %v", text, time.Duration(d), err)
		}
	}
	for _, text := range []string{"", " ", "s", "30", "0", "-1s", "+1s", "1.5s", "1 s", "1s ", "1M", "1us", "1w", "5m1h", "1m1m", "1s1", "1ms1s", "9999999999999999999s", "106752d", "106751d24h", "٣s", "1e3s", "1\u00b5s"} {
		d := Duration(42)
		if err := d.UnmarshalText([]byte(text)); err == nil || d != 42 {
			t.Errorf("%q: %v, %v", text, time.Duration(d), err)
		}
	}
	for _, d := range []Duration{-1, 1, math.MinInt64, math.MaxInt64} {
		if b, err := d.MarshalText(); err == nil {
			t.Errorf("%d is written as %s", d, b)
		}
		if d.String() == "" {
			t.Errorf("%d is nothing", d)
		}
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "0B": 0, "64B": 64, "64": 64, "256KiB": 256 << 10, "25MiB": 25 << 20, "10MB": 10e6, "1GiB": 1 << 30, "1GB": 1e9, "8kb": 8000, "8kib": 8192,
	} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%s: %d, %v", text, s, err)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "1.5MiB", "1 MiB", "25M", "1TiB", "0x10", "9223372036854775808", "9007199254740992KiB", "1MiB1KiB"} {
		s := Size(42)
		if err := s.UnmarshalText([]byte(text)); err == nil || s != 42 {
			t.Errorf("%q: %d, %v", text, s, err)
		}
	}
	for s, want := range map[Size]string{0: "0B", 1: "1B", 1000: "1KB", 1024: "1KiB", 1536: "1536B", 10e6: "10MB", 50 << 20: "50MiB", 1 << 30: "1GiB", -5: "-5B"} {
		if got := s.String(); got != want {
			t.Errorf("%d is %s, not %s", int64(s), got, want)
		}
	}
	if _, err := Size(-1).MarshalText(); err == nil {
		t.Error("a negative size is written")
	}
}

// What is written is read as the same, and what is read is written.
func FuzzUnits(f *testing.F) {
	for _, s := range []string{"0s", "1d2h3m4s5ms", "30s", "64B", "256KiB", "10MB", "1", "25M"} {
		f.Add(s, int64(len(s)))
	}
	f.Fuzz(func(t *testing.T, text string, n int64) {
		for _, d := range []Duration{Duration(n), read1[Duration](text)} {
			if b, err := d.MarshalText(); err == nil {
				var back Duration
				if err := back.UnmarshalText(b); err != nil || back != d {
					t.Errorf("%d is written as %s, which is read as %d, %v", d, b, back, err)
				}
			}
		}
		for _, s := range []Size{Size(n), read1[Size](text)} {
			if b, err := s.MarshalText(); err == nil {
				var back Size
				if err := back.UnmarshalText(b); err != nil || back != s {
					t.Errorf("%d is written as %s, which is read as %d, %v", s, b, back, err)
				}
			}
		}
	})
}

// read1 reads text; the zero value if it is none.
func read1[T any, P interface {
	*T
	UnmarshalText([]byte) error
}](text string) T {
	var v T
	if P(&v).UnmarshalText([]byte(text)) != nil {
		var zero T
		return zero
	}
	return v
}
