package main

import (
	"bytes"
	"context"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"testing"

	"sekimori/config"
	"sekimori/filter"
	"sekimori/filter/dns"
	"sekimori/filter/mail"
	"sekimori/testdata"
)

// caseFiles is the folder of cases with the areas in it.
const caseFiles = "../../testdata"

// loadCases gives the cases of all areas: the folders that hold a .want.
func loadCases(t *testing.T) []testdata.Case {
	t.Helper()
	files := os.DirFS(caseFiles)
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		t.Fatal(err)
	}
	var all []testdata.Case
	for _, e := range entries {
		if wants, _ := fs.Glob(files, e.Name()+"/*.want"); len(wants) == 0 {
			continue
		}
		cases, err := testdata.Load(files, e.Name())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, cases...)
	}
	if len(all) < 50 {
		t.Fatalf("only %d cases found", len(all))
	}
	return all
}

// The cases through Check alone, without a door and with Prefetch before it.
func TestCasesThroughCheck(t *testing.T) {
	for _, c := range loadCases(t) {
		t.Run(c.Area+"/"+c.Name, func(t *testing.T) {
			if !c.Judged() {
				return // a case for the door alone
			}
			if _, err := caseEnvelope(c); err != nil {
				return // another address by the time the door hands it over
			}
			cold := checkCase(t, c, false)
			for _, d := range c.Check(cold) {
				t.Error(d)
			}
			for _, d := range c.Check(checkCase(t, c, true)) {
				t.Errorf("with Prefetch: %s", d)
			}
			if t.Failed() {
				t.Logf("%s", cold)
			}
		})
	}
}

// caseEnvelope refuses what the door would refuse.
func caseEnvelope(c testdata.Case) (mail.Envelope, error) {
	client, err := netip.ParseAddr(c.ClientIP)
	if err != nil {
		return mail.Envelope{}, err
	}
	env := mail.Envelope{ID: "case", Client: client.Unmap(), Helo: c.Helo, ESMTP: true, SMTPUTF8: true}
	if env.MailFrom, err = argPath("MAIL FROM", c.MailFrom); err != nil {
		return env, err
	}
	for _, r := range c.Rcpts {
		path, err := argPath("RCPT TO", r)
		if err != nil {
			return env, err
		}
		env.Rcpts = append(env.Rcpts, path)
	}
	return env, nil
}

func checkCase(t *testing.T, c testdata.Case, prefetch bool) []byte {
	t.Helper()
	judge, err := caseFilter(c)
	if err != nil {
		t.Fatal(err)
	}
	env, err := caseEnvelope(c)
	if err != nil {
		t.Fatal(err)
	}
	m, err := mail.Read(env, bytes.NewReader(c.EML), mail.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if prefetch {
		judge.Resolver = dns.NewCache(judge.Resolver, 1<<20)
		judge.Prefetch(context.Background(), env, nil)
		judge.Prefetch(context.Background(), env, &m.Header)
	}
	b, err := filter.NewView(m, judge.Check(context.Background(), m)).JSON()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// openCases opens a stage to play cases in.
func openCases(t *testing.T) *stage {
	t.Helper()
	cfg := config.Default()
	cfg.Hostname = "mx.example.net"
	s, err := openStage(t.Context(), cfg, &dns.Zone{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s
}

// The same cases through the real proxy, with equal outcomes.
func TestCasesThroughProxy(t *testing.T) {
	s := openCases(t)
	for _, c := range loadCases(t) {
		t.Run(c.Area+"/"+c.Name, func(t *testing.T) {
			p, err := s.play(c)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range p.differences {
				t.Error(d)
			}
		})
	}
}
