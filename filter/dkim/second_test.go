package dkim

import (
	"context"
	"strings"
	"testing"

	"sekimori/filter/dns"
)

func TestSecondOpinion(t *testing.T) {
	c := combination{"relaxed", "relaxed", edKey(), []string{"From"}}
	signed := c.signedByLibrary(t, "From: a@example.com\r\n\r\nhello\r\n")
	trouble := &zone{}
	tests := []struct {
		name, raw string
		r         Resolver
		want      []Word
	}{
		{"pass", signed, &zone{txt: map[string][]string{"s1._domainkey.example.com": {record(t, c.key)}}}, []Word{Pass}},
		{"changed body", signed + "x\r\n", &zone{txt: map[string][]string{"s1._domainkey.example.com": {record(t, c.key)}}}, []Word{Fail}},
		{"no key", signed, trouble, []Word{PermError}},
		{"unsigned", "From: a@example.com\r\n\r\n", trouble, nil},
		{"bare newline", signed + "x\n", trouble, nil},
		{"large header", "X: " + strings.Repeat("x", secondHeader) + "\r\n" + signed, trouble, nil},
		{"large", signed + strings.Repeat("x\r\n", secondMessage/3+1), trouble, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := SecondOpinion(context.Background(), tt.r, message(t, tt.raw))
			if len(got) != len(tt.want) {
				t.Fatalf("%v, want %v", got, tt.want)
			}
			for i, o := range got {
				if o.Word != tt.want[i] || (o.Reason == "") != (o.Word == Pass) {
					t.Errorf("%v, want %v", o, tt.want[i])
				}
			}
		})
	}
}

func TestSecondOpinionTellsTroubleApart(t *testing.T) {
	c := combination{"relaxed", "relaxed", edKey(), []string{"From"}}
	m := message(t, c.signedByLibrary(t, "From: a@example.com\r\n\r\nhello\r\n"))
	for o, want := range map[dns.Outcome]Word{dns.Timeout: TempError, dns.ServFail: TempError, dns.NXDomain: PermError} {
		got := SecondOpinion(context.Background(), failing(o), m)
		if len(got) != 1 || got[0].Word != want {
			t.Errorf("%s: %v, want %s", o, got, want)
		}
	}
}

type failing dns.Outcome

func (f failing) LookupTXT(_ context.Context, name string) ([]string, error) {
	return nil, outcome(name, dns.Outcome(f))
}
