package dkim

import (
	"context"
	"crypto/sha256"
	"hash"
	"strings"
	"testing"

	"sekimori/filter/mail"
)

func FuzzTags(f *testing.F) {
	f.Add(tagged())
	f.Add("v=1; a = b ;\tc=\r\n d;")
	f.Add("v=DKIM1; p=a;; k=rsa")
	f.Add("=;a=b=c;ü=1")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseTags(text, maxSignatureTags)
		if err != nil {
			return
		}
		if len(list) > maxSignatureTags {
			t.Errorf("%d tags", len(list))
		}
		names, end := map[string]bool{}, 0
		for _, g := range list {
			if names[g.name] || !isTagName(g.name) {
				t.Errorf("name %q", g.name)
			}
			names[g.name] = true
			if g.from <= end || g.to < g.from || g.to > len(text) || text[g.from-1] != '=' || g.to < len(text) && text[g.to] != ';' {
				t.Errorf("%q stands at %d to %d", g.name, g.from, g.to)
			}
			if trim(text[g.from:g.to]) != g.value || strings.Contains(g.value, ";") {
				t.Errorf("%q has value %q", g.name, g.value)
			}
			end = g.to
		}
	})
}

func FuzzKey(f *testing.F) {
	f.Add(record(f, rsaKey()), "t=s")
	f.Add(record(f, edKey()), tagged("a", ed25519SHA256))
	f.Add("v=DKIM1; t=s:y; h=sha256; s=email; k=rsa; p=", tagged("i", "@a.example.com"))
	f.Fuzz(func(t *testing.T, text, tags string) {
		s := readSignature(0, mail.Field{Name: "DKIM-Signature", Value: []byte(tags)})
		r, fault := readKey(text)
		if fault.found() {
			return
		}
		k, fault := r.usable(s, 1024)
		if fault.found() {
			if fault.word == Pass || fault.reason == "" || !isPrintable(fault.reason) {
				t.Errorf("%+v", fault)
			}
			return
		}
		if k.bits < 256 || k.bits > maxRSABits || k.rsa != nil && k.bits < 1024 || (k.rsa == nil) == (k.ed25519 == nil) {
			t.Errorf("%+v", k)
		}
		if k.verify(make([]byte, 32), s.b) && k.rsa != nil {
			t.Error("zeros are signed")
		}
	})
}

// FuzzVerify: a hostile message and a hostile key. Nothing panics, the work is
// bounded, and what comes out can be printed.
func FuzzVerify(f *testing.F) {
	f.Add([]byte(rfc8463), record(f, rsaKey()), "")
	f.Add([]byte(sign(f, rsaKey(), tagged("l", "3", "c", "simple"), plain)), record(f, rsaKey()), "junk")
	f.Add([]byte("DKIM-Signature: "+tagged("b", "AA==", "bh", "AA==")+"\r\nDKIM-Signature:"), "p=", "v=DKIM1; p=AAAA")
	f.Fuzz(func(t *testing.T, raw []byte, first, second string) {
		m, err := mail.Read(mail.Envelope{}, strings.NewReader(string(raw)), mail.Options{})
		if err != nil {
			return
		}
		defer m.Close()
		z := &everywhere{zone{}, []string{first, second}}
		hashed, writes := 0, 0
		v := newVerifier(Limits{Author: "example.com"})
		v.newHash = func() hash.Hash { return counted{sha256.New(), &hashed, &writes} }
		got := v.verify(t.Context(), z, m)
		for _, r := range got {
			text := string(r.Word) + r.Domain + r.Selector + r.Algorithm + r.Identifier + r.B + r.Reason + r.Queried + r.Canonicalization + strings.Join(r.Signed, "")
			if !isPrintable(text) || r.Word == "" || r.Word == None || (r.Reason == "") != (r.Word == Pass) || len(r.B) > 64 {
				t.Errorf("%+v", r)
			}
		}
		if len(z.asked) > 10 || len(got) > len(m.Header.Fields) {
			t.Errorf("%d questions, %d results", len(z.asked), len(got))
		}
		// The body once in each form, and for each signature no more than the
		// header again, whatever it selects.
		if hashed > 2*(len(raw)+2)+10*(maxSignedBytes+len(raw)) {
			t.Errorf("%d bytes hashed", hashed)
		}
	})
}

// everywhere has the same records at all names.
type everywhere struct {
	zone
	records []string
}

func (e *everywhere) LookupTXT(ctx context.Context, name string) ([]string, error) {
	_, _ = e.zone.LookupTXT(ctx, name)
	return e.records, nil
}
