package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sekimori/config"
	"sekimori/filter"
	"sekimori/filter/dns"
	"sekimori/filter/mail"
)

const hostingDir = "../../testdata/hosting"

// hostingConfig is the demo provider's configuration, as a file.
func hostingConfig(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(hostingDir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "sekimori.toml"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "sekimori.toml")
	if err := os.WriteFile(file, bytes.ReplaceAll(text, []byte("@DIR@"), []byte(dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// The provider's table, as its admin holds it against the configuration.
func TestHostingRehearsal(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run([]string{"policy", "test", filepath.Join(hostingDir, "verdicts.toml"), "--config", hostingConfig(t)}, nil, &out, &errs); code != exitOK {
		t.Errorf("exit %d\n%s%s", code, out.String(), errs.String())
	}
}

// The same table, through the real proxy into a real receiving server.
func TestHostingThroughTheProxy(t *testing.T) {
	cfg, err := loadConfig(hostingConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	s := openHosting(t, cfg)
	scenes, err := loadScenes(filepath.Join(hostingDir, "verdicts.toml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range scenes {
		t.Run(one.Name, func(t *testing.T) { playHosting(t, s, one) })
	}
}

func openHosting(t *testing.T, cfg config.Config) *stage {
	t.Helper()
	s, err := openStage(context.Background(), cfg, &dns.Zone{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	var errs bytes.Buffer
	live, err := lookLive(context.Background(), cfg, &errs)
	if err != nil || errs.Len() > 0 {
		t.Fatal(err, errs.String())
	}
	s.house.filter.Live = live
	return s
}

func playHosting(t *testing.T, s *stage, one scene) {
	eml, source, err := one.world(hostingDir, nil)
	if err != nil {
		t.Fatal(err)
	}
	judge := *s.house.filter
	judge.Resolver, judge.Now = source, one.clock
	s.judge.Store(&judge)
	before := s.mta.received()
	out, err := dialSender(s.wing.Addr().String(), netip.MustParseAddr(one.Client), one.Helo)
	if err != nil {
		t.Fatal(err)
	}
	reply := out.send(*one.From, one.rcpts, eml)
	out.close()
	let := one.Shadow != nil && *one.Shadow || one.Action == "accept" || one.Action == "tag" || one.Action == "quarantine"
	if positive(reply) != let || !strings.Contains(reply, one.Reply) {
		t.Errorf("the reply is %q", reply)
	}
	if got := s.mta.received() > before; got != let {
		t.Fatalf("the MTA has the message: %v", got)
	}
	if !let {
		return
	}
	did := one.Action
	if one.Shadow != nil && *one.Shadow {
		did = "accept"
	}
	want := fmt.Sprintf("X-Sekimori-Verdict: %s; reason=%s", did, one.Reason)
	if text := string(mail.Unfold(s.mta.last().data)); !strings.Contains(text, want) {
		t.Errorf("%q is not in what the MTA got:\n%s", want, text)
	}
}

func TestPolicyShow(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run([]string{"policy", "show", "CEO@acme.example", "--config", hostingConfig(t)}, nil, &out, &errs); code != exitOK {
		t.Fatalf("exit %d\n%s%s", code, out.String(), errs.String())
	}
	for _, want := range []string{
		"protected domain acme.example of customer acme\n", "tenant acme, by customer acme\n", "tenant acme-ceo, by ceo@acme.example\n", "list acme\n",
		`unauthenticated         "quarantine"                    tenant acme-ceo, line `,
		`help_url                "https://hosting.example/mail"  [policy], line `,
		`spf.fail                "reject"                        tenant acme-ceo, line `,
		`dmarc.reject            "corroborated"                  default`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("want %q in\n%s", want, out.String())
		}
	}
	out.Reset()
	if code := run([]string{"policy", "show", "x@elsewhere.example", "--json", "--config", hostingConfig(t)}, nil, &out, &errs); code != exitOK {
		t.Fatalf("exit %d\n%s", code, errs.String())
	}
	for _, want := range []string{`"customer": ""`, `"tenants": []`, `"lists": []`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("want %q in\n%s", want, out.String())
		}
	}
	for _, bad := range []string{"", "nobody", "a@b@c..d"} {
		if code := run([]string{"policy", "show", bad, "--config", hostingConfig(t)}, nil, &out, &errs); code != exitUsage {
			t.Errorf("%q: exit %d", bad, code)
		}
	}
}

// A table that does not fit fails, and says where and why.
func TestRehearsalDiffers(t *testing.T) {
	yes := true
	s := scene{Name: "x", Action: "reject", Reason: "spf_fail", Shadow: &yes, Reply: "550"}
	all := s.differences(filter.Verdict{Action: filter.Accept, Reason: filter.DMARCPass})
	if len(all) != 4 || all[0] != "action is accept, expected reject" {
		t.Errorf("%q", all)
	}
	var out, errs bytes.Buffer
	table := writeTable(t, "[[case]]\nname = \"x\"\nto = \"anna@acme.example\"\nauthor = \"a@stranger.example\"\naction = \"reject\"\n")
	if code := run([]string{"policy", "test", table, "--config", hostingConfig(t)}, nil, &out, &errs); code != exitTrouble ||
		!strings.Contains(out.String(), "DIFFERS  x") || !strings.Contains(out.String(), "action is tag, expected reject") || !strings.Contains(errs.String(), "1 of 1 cases") {
		t.Errorf("exit %d\n%s%s", code, out.String(), errs.String())
	}
}

func writeTable(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "table.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestRehearsalRefuses(t *testing.T) {
	const head = "[[case]]\nname = \"x\"\nto = \"a@acme.example\"\n"
	for text, want := range map[string]string{
		"":                                "no [[case]]",
		"[[case]]\n":                      "it has no name",
		"[[case]]\nname = \"x\"\n":        "to is missing",
		head:                              "neither author nor message",
		head + "author = \"a@b.example\"": "nothing is expected",
		head + "author = \"a@b.example\"\naction = \"drop\"":                                                                     `action "drop" is none of accept`,
		head + "author = \"a@b.example\"\nreason = \"why\"":                                                                      `no reason "why"`,
		head + "author = \"a@b.example\"\nspf = \"yes\"\naction = \"accept\"":                                                    `spf "yes"`,
		head + "author = \"a@b.example\"\nsender_domain = \"x\"\naction = \"accept\"":                                            `sender_domain "x"`,
		head + "author = \"a\\r\\nX: y\"\naction = \"accept\"":                                                                   "line end",
		head + "message = \"m.eml\"\naction = \"accept\"":                                                                        "needs mail_from",
		head + "message = \"m.eml\"\nmail_from = \"\"\nspf = \"pass\"\naction = \"accept\"":                                      "without message",
		head + "author = \"a@b.example\"\nzone = \"z\"\naction = \"accept\"":                                                     "zone is for a case with message",
		head + "author = \"a@b.example\"\naction = \"accept\"\n" + head + "author = \"a@b.example\"\naction = \"accept\"":        "taken by an earlier case",
		head + "autor = \"a@b.example\"":                                                                                         "table.toml:4: unknown key case.autor",
		head + "author = ":                                                                                                       "table.toml:4: ",
		"[[case]]\nname = \"x\"\nto = [1]\n":                                                                                     "an address or a list",
		"[[case]]\nname = \"x\"\nto = [\"a@acme.example\", \"a@yama.example\"]\nauthor = \"a@b.example\"\naction = \"accept\"\n": "message of its own",
		head + "author = \"a@b.example\"\nclient = \"x\"\naction = \"accept\"":                                                   "no IP address",
		head + "message = \"none.eml\"\nmail_from = \"\"\naction = \"accept\"":                                                   "none.eml",
	} {
		var out, errs bytes.Buffer
		code := run([]string{"policy", "test", writeTable(t, text), "--config", hostingConfig(t)}, nil, &out, &errs)
		if code != exitTrouble || !strings.Contains(errs.String(), want) {
			t.Errorf("%q: exit %d, want %q in %s", text, code, want, errs.String())
		}
	}
}

// Messages and zones from files stand beside the table.
func TestRehearsalOfAMessage(t *testing.T) {
	table := writeTable(t, `[[case]]
name = "what they sent us"
message = "m.eml"
zone = "m.zone"
to = ["anna@acme.example"]
mail_from = "a@sender.example"
client = "2001:db8::25"
time = 2026-03-01T12:00:00Z
action = "accept"
reason = "dmarc_pass"
`)
	for name, text := range map[string]string{
		"m.eml":  "From: a@sender.example\nTo: anna@acme.example\n\nHello.\n",
		"m.zone": "sender.example. TXT \"v=spf1 ip6:2001:db8::/32 -all\"\n_dmarc.sender.example. TXT \"v=DMARC1; p=reject\"\n",
	} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(table), name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out, errs bytes.Buffer
	if code := run([]string{"policy", "test", table, "--config", hostingConfig(t)}, nil, &out, &errs); code != exitOK {
		t.Errorf("exit %d\n%s%s", code, out.String(), errs.String())
	}
}

// check judges by the provider's domains and lists too.
func TestCheckKnowsProtectedDomains(t *testing.T) {
	var out, errs bytes.Buffer
	args := []string{"check", "--config", hostingConfig(t), "--zone", os.DevNull, "--ip", "203.0.113.9", "--from", "boss@acme.example", "--rcpt", "anna@acme.example", "--json", "-"}
	code := run(args, strings.NewReader("From: boss@acme.example\n\nPay at once.\n"), &out, &errs)
	if code != exitOK || !strings.Contains(out.String(), `"reason": "protected_author"`) {
		t.Errorf("exit %d\n%s%s", code, out.String(), errs.String())
	}
}
