package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekimori/filter/history"
)

// What was done to one load of mail is told three times: by the metrics, by the log
// and by the history. The three count the same, by action and reason, and by
// outcome.
func TestNumbersAgree(t *testing.T) {
	mta, err := startDemoMTA()
	if err != nil {
		t.Fatal(err)
	}
	defer mta.close()
	d := startDaemon(t, mta.listen.Addr().String(), fmt.Sprintf("history.path = %q\nlog.personal = \"none\"\npolicy.spf.fail = \"tag\"\nlistener.max_errors = 100\n", filepath.Join(t.TempDir(), "h.db")))
	waitFor(t, "ready", func() bool { return d.get("/readyz") == "200 ready" })
	plain := strings.ReplaceAll(honest, ".\r\x20\n", "end\r\n")
	const rounds = 8
	for range rounds {
		d.send(t, "a@example.com", "user@example.net", plain)
		d.send(t, "a@example.com", "user@example.net", plain)
		d.send(t, "x@attacker.example", "user@example.net", "From: ceo@bank.example\r\n\r\npay\r\n")
		d.send(t, "x@attacker.example", "user@example.net", "From: x@attacker.example\r\n\r\nno DMARC\r\n")
		d.send(t, "a@example.com", "user@example.net", "Subject: nobody\r\n\r\nno author\r\n")
		d.send(t, "a@example.com", "user@example.net", "From: ceo@bank.example\r\n\r\na list, perhaps\r\n")
	}
	const all = 6 * rounds
	samples, err := readSamples([]byte(strings.TrimPrefix(d.get("/metrics"), "200 ") + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	counted := map[string]int{}
	for _, s := range samples["sekimori_messages_total"] {
		counted[s.labels["action"]+" "+s.labels["reason"]] += int(s.value)
	}
	for _, s := range samples["sekimori_outcomes_total"] {
		counted[s.labels["outcome"]] += int(s.value)
	}
	maps.DeleteFunc(counted, func(_ string, n int) bool { return n == 0 })
	written := map[string]int{}
	for _, line := range logged(t, d.log.String(), "message") {
		written[fmt.Sprint(line["event.action"], " ", line["event.reason"])]++
		written[fmt.Sprint(line["sekimori.outcome"])]++
	}
	kept := map[string]int{}
	store := d.service.common.history
	if err := store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, err := store.Search(t.Context(), history.Query{From: time.Now().Add(-time.Hour), Limit: history.MaxRows})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		kept[r.Action+" "+string(r.Reason)]++
		kept[string(r.Outcome)]++
		if !strings.HasPrefix(r.MailFrom, "*@") {
			t.Errorf("the history has %q", r.MailFrom)
		}
	}
	if !maps.Equal(counted, written) || !maps.Equal(counted, kept) {
		t.Errorf("metrics %v\nlog     %v\nhistory %v", counted, written, kept)
	}
	total := 0
	for _, n := range counted {
		total += n
	}
	if total != 2*all || len(counted) < 7 {
		t.Errorf("%d messages: %v", all, counted)
	}
}
