package mail

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestHeaderFields(t *testing.T) {
	in := crlf(
		"Received: from a",
		"\tby b;",
		" now",
		"X-Empty:",
		"X-Space : x : y ",
		"subject: one",
		"", "body: no")
	m := read(t, in, Options{})
	want := []struct{ name, raw, value string }{
		{"Received", "Received: from a\r\n\tby b;\r\n now\r\n", " from a\r\n\tby b;\r\n now"},
		{"X-Empty", "X-Empty:\r\n", ""},
		{"X-Space", "X-Space : x : y \r\n", " x : y "},
		{"subject", "subject: one\r\n", " one"},
	}
	h := m.Header
	if len(h.Fields) != len(want) {
		t.Fatalf("%d fields", len(h.Fields))
	}
	for i, w := range want {
		f := h.Fields[i]
		if f.Name != w.name || string(f.Raw) != w.raw || string(f.Value) != w.value {
			t.Errorf("field %d: %q, %q, %q", i, f.Name, f.Raw, f.Value)
		}
		if !strings.HasPrefix(in[f.Offset:], w.raw) {
			t.Errorf("field %d is not at %d", i, f.Offset)
		}
	}
	if i := strings.Index(in, "\r\n\r\n"); string(h.Raw) != in[:i+2] || m.BodyOffset() != int64(i+4) {
		t.Errorf("header %q, body at %d", h.Raw, m.BodyOffset())
	}
}

func TestHeaderByName(t *testing.T) {
	h := read(t, crlf("A: 1", "B: 2", "a: 3", "AA: 4", "", ""), Options{}).Header
	var at []int
	for i, f := range h.All("a") {
		at = append(at, i)
		if f != &h.Fields[i] {
			t.Errorf("field %d is %q", i, f.Raw)
		}
	}
	if !slices.Equal(at, []int{0, 2}) || h.Count("A") != 2 || h.Count("x") != 0 {
		t.Errorf("indices %v", at)
	}
	if f := h.Get("b"); f == nil || string(f.Value) != " 2" {
		t.Errorf("Get: %v", f)
	}
	if h.Get("x") != nil {
		t.Error("Get gives a field that is not there")
	}
	if n := testing.AllocsPerRun(10, func() {
		for range h.All("a") {
			h.Get("AA")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestUnfold(t *testing.T) {
	for in, want := range map[string]string{
		"":                    "",
		" a b":                " a b",
		" a\r\n b\r\n\tc":     " a b\tc",
		" a\n b":              " a b",
		" a\rb\r\n c\r":       " a\rb c\r",
		"\r\n \r\n x\r\r\n y": "  x\r y",
	} {
		if got := Unfold([]byte(in)); string(got) != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestDefects(t *testing.T) {
	const from = "From: a@example.com"
	with := func(lines ...string) string { return crlf(append(append([]string{from}, lines...), "", "body")...) }
	for _, c := range []struct {
		id, in string
		want   []Defect
	}{
		{"clean", with("To: x@y.example"), nil},
		{"empty message", "", nil},
		{"no header", "\r\nbody\r\n", nil},
		{"no body", from + "\r\n\r\n", nil},
		{"RFC 5322 section 3.5, no empty line", from + "\r\n", nil},

		{"SM-02 LF in the body", with() + "x\ny\r\n", []Defect{BareNewline}},
		{"SM-02 CR in the body", with() + "x\ry\r\n", []Defect{BareNewline}},
		{"SM-02 CR CR LF", with() + "x\r\r\n", []Defect{BareNewline}},
		{"SM-02 LF CR", with() + "x\n\r", []Defect{BareNewline}},
		{"SM-02 last byte CR", with() + "x\r", []Defect{BareNewline}},
		{"SM-02 last byte LF", with() + "x\n", []Defect{BareNewline}},
		{"SM-02 LF in the header", from + "\nTo: x\r\n\r\n", []Defect{BareNewline}},
		{"SM-02 LF as empty line", from + "\r\n\nbody\r\n", []Defect{BareNewline}},
		{"SM-02 CR LF swapped", "\n\r", []Defect{BareNewline}},
		{"no line end at the end of the body", with() + "x", nil},

		{"MS-03", with("Subject: a", "SUBJECT: b"), []Defect{DuplicateField}},
		{"MS-03 To", with("To: a", "To: b"), []Defect{DuplicateField}},
		{"MS-03 obsolete", with("To: a", "To : b"), []Defect{ObsoleteField, DuplicateField}},
		{"MS-03 may stand twice", with("Received: a", "Received: b", "Comments: a", "Comments: b"), nil},
		{"MS-03 From is Author's", with(from), nil},
		{"MS-04 space", with("X y: z"), []Defect{HeaderLine}},
		{"MS-04 8-bit", with("X\xc3\xbc: z"), []Defect{HeaderLine}},
		{"MS-04 empty name", with(": z"), []Defect{HeaderLine}},
		{"MS-04 blank name", with("X: y", "\t: z"), nil}, // goes on with X
		{"MS-05", with("no colon"), []Defect{HeaderLine}},
		{"MS-06", with("X : y"), []Defect{ObsoleteField}},
		{"MS-07", " X: y\r\n" + with(), []Defect{HeaderLine}},
		{"MS-07 blank", " \r\n" + with(), []Defect{HeaderLine}},
		{"MS-08", with("X", " : y"), []Defect{HeaderLine}},
		{"mbox", "From a@example.com Sun Nov 22 10:00:00 2026\r\n" + with(), []Defect{HeaderLine}},
		{"mbox quoted", ">From a@example.com\r\n" + with(), []Defect{HeaderLine}},
		{"MS-10", with("X: a\x00b"), []Defect{HeaderNUL}},
		{"MS-10 other", with("X: a\x08b"), []Defect{HeaderNUL}},
		{"MS-10 name", with("X\x00: b"), []Defect{HeaderNUL, HeaderLine}},
		{"MS-10 tab", with("X: a\tb"), nil},
		{"MS-10 body", with() + "\x00\r\n", []Defect{BodyNUL}},
		{"MS-10 smuggled dot", with() + "\r\n\x00.\r\n", []Defect{BodyNUL}},
		{"MS-22", with("Subject: a\xff"), []Defect{HeaderNotUTF8}},
		{"MS-22 UTF-8", with("Subject: あ"), nil},
		{"MS-22 body", with() + "\xff\r\n", nil},
		{"blank continuation", with("X: a", " ", "Y: b"), []Defect{BlankFold}},
		{"blank continuation with TAB", with("X: a", " \t ", " b"), []Defect{BlankFold}},
		{"unfinished", from, []Defect{HeaderWithoutNL}},
		{"unfinished line", from + "\r\nX", []Defect{HeaderLine, HeaderWithoutNL}},
		{"CR only", "From: a@b\rTo: c\r\rbody\r", []Defect{BareNewline, HeaderWithoutNL}},
		{"each once", with("a", "b", "X: \x00", "X: \x01"), []Defect{HeaderNUL, HeaderLine}},
	} {
		t.Run(c.id, func(t *testing.T) {
			m := read(t, c.in, Options{})
			if !slices.Equal(m.Defects, c.want) {
				t.Errorf("%v, want %v", m.Defects, c.want)
			}
			for _, d := range everyDefect() {
				if m.Has(d) != slices.Contains(c.want, d) {
					t.Errorf("Has(%s) = %v", d, m.Has(d))
				}
			}
		})
	}
}

// The header ends at the first empty line and nowhere else.
func TestHeaderEnd(t *testing.T) {
	for _, c := range []struct{ id, in, body string }{
		{"CRLF CRLF", "A: b\r\n\r\nbody", "body"},
		{"first line", "\r\nA: b\r\n\r\n", "A: b\r\n\r\n"},
		{"WSP only", "A: b\r\n \r\nC: d\r\n\r\nbody", "body"},
		{"TAB only, then fields", "A: b\r\n\t\r\nFrom: x\r\n\r\nbody", "body"},
		{"LF LF", "A: b\n\nbody", "body"},
		{"CRLF LF", "A: b\r\n\nbody", "body"},
		{"LF CRLF", "A: b\n\r\nbody", "body"},
		{"LF first", "\nbody", "body"},
		{"CR CR", "A: b\r\rbody\r\n\r\nmore", "more"},
		{"CR CR LF", "A: b\r\n\r\r\nbody\r\n\r\nmore", "more"},
		{"one letter and LF", "A: b\r\nx\n\r\nbody", "body"},
		{"no colon", "A: b\r\nno colon\r\nC: d\r\n\r\nbody", "body"},
		{"never", "A: b\r\nC: d\r\n", ""},
		{"empty", "", ""},
	} {
		m := read(t, c.in, Options{})
		var body bytes.Buffer
		body.ReadFrom(m.Body())
		if body.String() != c.body || m.BodyOffset() != int64(len(c.in)-len(c.body)) {
			t.Errorf("%s: body %q at %d", c.id, body.String(), m.BodyOffset())
		}
	}
}

// The scan for the end of the header looks at each byte once, however the
// bytes come, and what it costs to cut the fields grows with their number.
func TestHeaderIsLinear(t *testing.T) {
	for name, unit := range map[string]string{
		"size":           strings.Repeat("x", 62) + "\r\n ",
		"fields":         "a:\r\n",
		"blank folds":    " \r\n",
		"no colon":       "a\r\n",
		"one line":       "aaaa",
		"carriage":       "\r\r\r\r",
		"From lookalike": "\xff\xff\xff\xff",
	} {
		t.Run(name, func(t *testing.T) {
			for n := 1 << 10; n <= 1<<16; n *= 2 {
				raw := []byte("X:" + strings.Repeat(unit, n/len(unit)) + "\r\n")
				big := HeaderLimits{1 << 30, 1 << 30, 1 << 30, 1 << 30}
				s := headerScan{limits: big}
				for i := 0; i <= len(raw); i += 7 {
					if err := s.scan(raw[:i]); err != nil {
						t.Fatal(err)
					}
				}
				if s.steps > len(raw) {
					t.Errorf("%d bytes looked at for %d", s.steps, len(raw))
				}
				if allocs := testing.AllocsPerRun(1, func() { parseHeader(raw) }); allocs > 64 {
					t.Errorf("%v allocations for %d bytes", allocs, len(raw))
				}
			}
		})
	}
}

func TestHeaderCostsFewAllocations(t *testing.T) {
	raw := []byte(typicalHeader())
	if n := testing.AllocsPerRun(10, func() { parseHeader(raw) }); n > 8 {
		t.Errorf("%v allocations", n)
	}
}

func typicalHeader() string {
	return strings.ReplaceAll(`Received: from mail.example.com (mail.example.com [192.0.2.1])
	by mx.example.net with ESMTPS id ABC123
	for <x@example.net>; Sun, 22 Nov 2026 10:00:00 +0900
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=s1;
	h=from:to:subject:date:message-id:mime-version:content-type;
	bh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=;
	b=`+strings.Repeat("x", 300)+`
From: =?utf-8?B?5bGx55Sw5aSq6YOO?= <taro.yamada@example.com>
To: x@example.net
Subject: =?utf-8?B?44GT44KT44Gr44Gh44Gv?=
Date: Sun, 22 Nov 2026 10:00:00 +0900
Message-ID: <abc@example.com>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: base64
X-Mailer: something 1.2
List-Unsubscribe: <https://example.com/u/1>
`, "\n", "\r\n")
}

func BenchmarkHeader(b *testing.B) {
	for _, c := range []struct{ name, raw string }{
		{"typical", typicalHeader()},
		{"thousand", strings.Repeat("X-Field: some value\r\n", 1000)},
		{"mebibyte", "X:" + strings.Repeat(strings.Repeat("x", 76)+"\r\n ", 13000) + "\r\n"},
	} {
		b.Run(c.name, func(b *testing.B) {
			raw := []byte(c.raw)
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				parseHeader(raw)
			}
		})
	}
}

func FuzzHeader(f *testing.F) {
	f.Add([]byte(typicalHeader()))
	f.Add([]byte("From\r\n : x\r\nFrom : y\r\n \r\nno colon\n\r\r\n"))
	f.Add([]byte(" From: x\r\n\xff: \x00\r\nA:"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		h := parseHeader(raw)
		checkHeader(t, h)
		checkAuthor(t, h.Author())
	})
}

// checkHeader holds a Header to what its fields promise: every byte is in one
// field, in order.
func checkHeader(t *testing.T, h Header) {
	t.Helper()
	at := 0
	for _, f := range h.Fields {
		if f.Name != "" {
			checkField(t, f)
		}
		if f.Offset != at || !bytes.HasPrefix(h.Raw[at:], f.Raw) || len(f.Raw) == 0 {
			t.Fatalf("at %d: offset %d of %q", at, f.Offset, f.Raw)
		}
		at += len(f.Raw)
	}
	if at != len(h.Raw) {
		t.Errorf("%d of %d bytes", at, len(h.Raw))
	}
}

func checkField(t *testing.T, f Field) {
	t.Helper()
	rest, ok := bytes.CutPrefix(f.Raw, []byte(f.Name))
	rest = bytes.TrimLeft(rest, " \t")
	if strings.ContainsFunc(f.Name, func(r rune) bool { return r < 33 || r > 126 || r == ':' }) {
		t.Errorf("name %q", f.Name)
	}
	if !ok || len(rest) == 0 || rest[0] != ':' {
		t.Errorf("name %q of %q", f.Name, f.Raw)
		return
	}
	end, ok := bytes.CutPrefix(rest[1:], f.Value)
	if !ok || !slices.Contains([]string{"", "\n", "\r\n"}, string(end)) {
		t.Errorf("value %q of %q", f.Value, f.Raw)
	}
}
