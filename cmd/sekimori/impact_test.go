package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekimori/filter"
	"sekimori/filter/dkim"
	"sekimori/filter/event"
	"sekimori/filter/mail"
	"sekimori/filter/spf"
)

var impactNow = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// impactLog writes a log as 'serve' does.
type impactLog struct{ bytes.Buffer }

func (l *impactLog) add(ago time.Duration, author string, v filter.Verdict, tenants ...string) {
	v.Tenants = tenants
	v.Results.Author = mail.Author{Status: mail.AuthorDomain, Domain: author, Domains: []string{author}}
	v.Results.Checked = true
	r := filter.Record{Start: impactNow.Add(-ago), Verdict: v, Judged: true, Outcome: filter.Delivered, Reply: filter.Reply{Code: 250}}
	l.Write(event.Format{Host: "mx.example.net"}.Message(nil, &r))
}

func testImpactLog() string {
	var l impactLog
	shadow := func(a filter.Action, r filter.Reason) filter.Verdict {
		return filter.Verdict{Action: a, Reason: r, Shadow: true}
	}
	byList := shadow(filter.Quarantine, filter.DMARCFailOther)
	byList.Results.DKIM = []dkim.Result{{Word: dkim.Pass, Domain: "list.example"}}
	bySPF := byList
	bySPF.Results = filter.Results{SPF: spf.Results{MailFrom: spf.Result{Word: spf.Pass, Domain: "x.example"}}}
	l.add(time.Hour, "bank.example", shadow(filter.Reject, filter.DMARCFailReject), "acme", "other")
	l.add(2*time.Hour, "bank.example", shadow(filter.Reject, filter.DMARCFailReject), "acme")
	l.add(2*time.Hour, "shop.example", shadow(filter.Reject, filter.DMARCFailReject), "acme")
	l.add(3*time.Hour, "friend.example", byList, "acme")
	l.add(4*time.Hour, "friend.example", bySPF)
	l.add(5*time.Hour, "friend.example", filter.Verdict{Action: filter.Accept, Reason: filter.DMARCPass})
	l.add(5*time.Hour, "bank.example", filter.Verdict{Action: filter.Reject, Reason: filter.DMARCFailReject}, "acme")
	l.add(30*24*time.Hour, "old.example", shadow(filter.Reject, filter.DMARCFailReject), "acme")
	l.WriteString("not a line\n{\"@timestamp\": 7}\n\n")
	l.WriteString("Nov 22 11:00:00 mx sekimori[1]: ")
	l.add(time.Hour, "evil\x1b[31m.example", shadow(filter.Reject, filter.SPFFail), "third")
	return l.String()
}

func impactOf(t *testing.T, log string, f impactFlags) (string, error) {
	t.Helper()
	if f.since == "" {
		f.since = "7d"
	}
	var out bytes.Buffer
	err := f.run(strings.NewReader(log), &out, impactNow)
	return out.String(), err
}

func TestImpact(t *testing.T) {
	got, err := impactOf(t, testImpactLog(), impactFlags{top: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"8 messages, 8 of them judged",
		"3 lines were no line of ours",
		"Enforced, 6 messages (75.0 % of those judged)",
		"-       dmarc_fail_other   quarantine  1         12.5 %  1            friend.example (1)\n",
		"acme    dmarc_fail_reject  reject      3         37.5 %  0            bank.example (2), shop.example (1)\n",
		"acme    dmarc_fail_other   quarantine  1         12.5 %  1            friend.example (1)\n",
		"other   dmarc_fail_reject  reject      1         12.5 %  0            bank.example (1)\n",
		`third   spf_fail           reject      1         12.5 %  0            evil\x1b[31m.example (1)`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("want %q in\n%s", want, got)
		}
	}
}

func TestImpactOfOne(t *testing.T) {
	got, err := impactOf(t, testImpactLog(), impactFlags{top: 1, tenant: "acme", reason: "dmarc_fail_reject", json: true})
	if err != nil {
		t.Fatal(err)
	}
	var v impactView
	if err := json.Unmarshal([]byte(got), &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Rows) != 1 || v.Changed != 3 || v.Rows[0].Messages != 3 || v.Rows[0].Domains != 2 || len(v.Rows[0].Top) != 1 || v.Rows[0].Top[0].Domain != "bank.example" {
		t.Errorf("%+v", v)
	}
	longer, err := impactOf(t, testImpactLog(), impactFlags{since: "31d", tenant: "acme", reason: "dmarc_fail_reject"})
	if err != nil || !strings.Contains(longer, "Enforced, 4 messages") {
		t.Errorf("%s %v", longer, err)
	}
}

func TestImpactOfNothing(t *testing.T) {
	var l impactLog
	l.add(time.Hour, "a.example", filter.Verdict{Action: filter.Accept, Reason: filter.DMARCPass})
	if got, err := impactOf(t, l.String(), impactFlags{}); err != nil || !strings.Contains(got, "Nothing would change") {
		t.Errorf("%q %v", got, err)
	}
	if _, err := impactOf(t, l.String(), impactFlags{since: "30m"}); err == nil || !strings.Contains(err.Error(), "no message since") {
		t.Error(err)
	}
	if _, err := impactOf(t, strings.Repeat("x", maxImpactLine+2), impactFlags{}); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Error(err)
	}
	for _, f := range []impactFlags{{since: "0d"}, {since: "x"}, {since: "-1h"}, {since: "99999999999d"}, {reason: "no_reason"}, {top: -1}} {
		if _, err := impactOf(t, l.String(), f); err == nil {
			t.Errorf("%+v is taken", f)
		}
	}
}

// A rotated log is read with the one that is being written.
func TestImpactReadsFiles(t *testing.T) {
	dir := t.TempDir()
	whole := testImpactLog()
	half := strings.Index(whole, "\n") + 1
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	if err := os.WriteFile(one, []byte(whole[:half]), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(two, []byte(whole[half:]), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := impactOf(t, "", impactFlags{logs: []string{one, two}})
	if err != nil || !strings.Contains(got, "Enforced, 6 messages") {
		t.Errorf("%s %v", got, err)
	}
	if _, err := impactOf(t, "", impactFlags{logs: []string{filepath.Join(dir, "none")}}); err == nil {
		t.Error("a missing file is taken")
	}
}

// A flood of invented domains is counted and not kept.
func TestImpactIsBounded(t *testing.T) {
	r := &impactRow{domains: map[string]int{}}
	for i := range maxImpactDomains + 50 {
		r.add(&impactLine{Author: benchDomain(i)})
	}
	if len(r.domains) != maxImpactDomains || r.messages != maxImpactDomains+50 || r.others != 50 {
		t.Errorf("%d domains, %d messages, %d others", len(r.domains), r.messages, r.others)
	}
}
