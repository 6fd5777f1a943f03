package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sekimori/filter"
	"sekimori/filter/mail"
	"sekimori/testdata"
)

// causes are words by which `check` names what is behind each attack.
func causes() map[string]string {
	return map[string]string{
		"a01-helo-pass":                "SPF passes for the name in EHLO (helo.attacker.example) but not for MAIL FROM",
		"a02-mail-from-parenthesis":    `Refused at MAIL, before there is a message: the local part of the address has characters that need quotes: "(any@victim.example"`,
		"a03-selector-nul":             `claims d="victim.example" with the selector s="selector._domainkey.attacker.example.\x00.any"`,
		"a04-domain-apostrophe":        `its d= is no domain name, though other programs may read one out of it: "victim.example'a.attacker.example"`,
		"a04-domain-parenthesis":       `"victim.example(a.attacker.example"`,
		"a04-domain-quote":             `"victim.example\"a.attacker.example"`,
		"a05-mail-from-apostrophe":     `need quotes: "any@victim.example'@any.attacker.example"`,
		"a05-mail-from-parenthesis":    `characters not allowed: "any@victim.example(a.attacker.example"`,
		"a06-two-from-attacker-first":  `Line 2 of the header has a From field, of which programs make different authors: "From: Admin`,
		"a06-two-from-attacker-last":   `Line 6 of the header has a From field, of which programs make different authors: "From: First`,
		"a07-from-folded-name":         `Line 1 of the header is a field name whose colon stands on the next line`,
		"a07-from-leading-space":       `Line 1 of the header begins with a blank`,
		"a07-from-space-colon":         `Line 6 of the header has a blank before its colon`,
		"a08-no-from-resent":           `Without a From field some programs show what Resent-From has: " Admin <admin@victim.example>"`,
		"a08-no-from-sender":           `Without a From field some programs show what Sender has`,
		"a09-two-authors":              "From names several domains (attacker.example, victim.example)",
		"a10-encoded-list":             `some programs show and use as "<admin@victim.example>"`,
		"a11-route":                    "the From field has a source route",
		"a12-quoted-pair":              "there is a backslash outside quotes after an address",
		"a13-address-as-name":          `The display name in From has an address of "victim.example"`,
		"a13-bare-then-angle":          "From names several domains",
		"a13-text-after-angle":         "there is text that cannot be read after an address",
		"a14-replay-subject":           "does not cover Subject, To (h=): anybody may have changed that since",
		"a15-replay-second-from":       "there are several From fields",
		"a15-replay-second-from-below": "there are several From fields",
		"a16-body-length":              "l= leaves a part of the body unsigned, to which anybody may have added",
		"a17-shared-service":           `MAIL FROM is "attacker", From is "customer", both of service.example`,
		"a18-service-replay":           "there are several From fields",
		"b01-invisible-domain":         "characters that cannot be seen or that turn the direction of reading: U+2000",
		"b01-zero-width-domain":        "U+200B",
		"b02-encoded-domain":           `some programs show and use as "victim.example"`,
		"b03-no-from":                  "there is no From field",
		"bimi-forged":                  "brings BIMI fields along",
		"client-a01":                   "there are several From fields",
		"client-a02":                   "From names several domains",
		"client-a03":                   `MAIL FROM is "attacker", From is "admin", both of service.example`,
		"ga-blank-separator":           `Line 6 of the header holds blanks and nothing else: some programs take it for the end of the header`,
		"ga-boundary":                  `The MIME boundary looks like a "From" field`,
		"ga-charsets":                  "From has an encoded word in UTF-7",
		"ga-cr-header":                 "A CR or LF stands alone",
		"ga-overlong":                  `Line 1 of the header has bytes that are not UTF-8, of which each program makes other characters: "From: admin@victim\xc0\xaeexample"`,
		"ga-surrogate":                 `bytes that are not UTF-8, of which each program makes other characters: "From: admin@\xed\xa0\x80`,
		"org-domain-sibling":           "Nothing shows that the message is of a.example, and this domain has no DMARC record",
		"server-a01":                   "SPF passes for the name in EHLO",
		"server-a02":                   "Refused at MAIL, before there is a message",
		"server-a03":                   "has a control character",
		"server-a04":                   "its d= is no domain name",
		"server-a05":                   "characters not allowed",
		"server-a06":                   "characters that need quotes",
		"server-a07":                   "MAIL FROM has a source route",
		"server-a08":                   "there are several From fields",
		"server-a09":                   "begins with a blank",
		"server-a10":                   "has a blank before its colon",
		"server-a11":                   "whose colon stands on the next line",
		"server-a12":                   "whose colon stands on the next line",
		"server-a13":                   "whose colon stands on the next line",
		"server-a14":                   "From names several domains",
		"server-a15":                   `some programs show and use as "<admin@victim.example>"`,
		"server-a16":                   "the From field has a source route",
		"server-a17":                   "there is a backslash outside quotes",
		"server-a18":                   "From names several domains",
		"server-a19":                   "text that cannot be read after an address",
		"temperror-by-attacker":        "the DNS did not answer for the TXT records of broken.attacker.example",
		"wl-arc-forged":                "ARC fields, in which anybody can claim any result",
		"wl-attached-header":           `The body begins like another header, and nobody has checked what that says of the author or of results: "From: Admin`,
		"wl-blank-line":                `some programs take it for the end of the header, others go on with "From: Admin`,
		"wl-fullwidth-from":            "Line 6 of the header has a field name that is not ASCII",
		"wl-homograph":                 "xn--vctim-n2e.example is shown as \"v\u0456ctim.example\" (with U+0456 Cyrillic)",
		"wl-mbox-line":                 `Line 1 of the header is no field but the first line of a mailbox file, in which some programs see the author: "From admin@victim.example Sat`,
		"wl-mixed-case-from":           `"fROM: First`,
		"wl-null-members":              "an empty place where an address must be",
		"wl-null-sender":               "MAIL FROM is empty, as in bounces, and so SPF speaks for the name in EHLO (helo.attacker.example)",
		"wl-nul-in-from":               `"From: <admin@victim.example\x00@attacker.example>"`,
		"wl-resigned":                  "DKIM passed for attacker.example, but no such domain is aligned with victim.example",
		"wl-right-to-left":             "U+202E",
		"wl-right-to-left-name":        "that turn the direction of reading: U+202E",
		"wl-subdomain":                 "published at victim.example, organizational domain victim.example",
	}
}

// `check` names the cause of each attack, to people and to scripts.
func TestNotesNameEachCause(t *testing.T) {
	cases, err := testdata.Load(os.DirFS(caseFiles), "attacks")
	if err != nil {
		t.Fatal(err)
	}
	left := causes()
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			cause := left[c.Name]
			delete(left, c.Name)
			text := runCheck(t, c)
			if cause == "" || !strings.Contains(text, cause) {
				t.Errorf("no %q in\n%s", cause, text)
			}
			var view checkView
			if err := json.Unmarshal([]byte(runCheck(t, c, "--json")), &view); err != nil {
				t.Fatal(err)
			}
			for _, n := range view.Notes {
				if !strings.Contains(text, n) {
					t.Errorf("only in JSON: %s", n)
				}
			}
			if view.Notes == nil || view.Verdict.Reason == "" {
				t.Errorf("notes %v, reason %q", view.Notes, view.Verdict.Reason)
			}
		})
	}
	for name := range left {
		t.Errorf("there is no attack %s", name)
	}
}

// runCheck gives what the command prints of a case.
func runCheck(t *testing.T, c testdata.Case, flags ...string) string {
	t.Helper()
	zone := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(zone, c.Zone, 0o600); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"check", "--zone", zone, "--ip", c.ClientIP, "--helo", c.Helo, "--from", c.MailFrom, "--time", c.Time.Format(time.RFC3339)}, flags...)
	for _, r := range c.Rcpts {
		args = append(args, "--rcpt", r)
	}
	var out, errs bytes.Buffer
	if status := run(args, bytes.NewReader(c.EML), &out, &errs); status != exitOK {
		t.Fatalf("exit status %d: %s", status, errs.String())
	}
	return out.String()
}

func notesOn(t *testing.T, message string) []string {
	t.Helper()
	m, err := mail.Read(mail.Envelope{}, strings.NewReader(message), mail.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	return notesOf(m, filter.Results{Author: m.Author()})
}

// What no attack has.
func TestNotesOfDefects(t *testing.T) {
	const from = "From: a@a.example\r\n"
	for name, c := range map[string]struct{ message, want string }{
		"duplicate":  {from + "Subject: a\r\nsubject: b\r\n\r\n", "There are 2 Subject fields, and programs differ on which of them counts"},
		"body NUL":   {from + "\r\na\x00b\r\n", "The body has a NUL byte, at which some programs stop reading and which others drop"},
		"unfinished": {"From: a@a.example", "The message ends within a line of its header"},
		"no colon":   {from + "hello\r\n\r\n", `Line 2 of the header is no field, which is a name, a colon and a text: "hello"`},
		"attached": {from + "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nFrom: b@b.example\r\n",
			"A message is attached (message/rfc822): its header has an author and perhaps results of checks too, and nobody has checked them"},
		"type": {from + "Content-Type: text/plain; ;=\r\n\r\n", `The Content-Type cannot be read, and each program makes something else of it: " text/plain; ;="`},
		"encoded name": {"From: =?utf-8?Q?ceo=40b.example?= <a@a.example>\r\n\r\n",
			`The display name in From has an address of "b.example", which many programs show alone, but the author's domain is a.example`},
		"comment": {"From: a@a.example (ceo@b.example)\r\n\r\n",
			`The display name in From has an address of "b.example", which many programs show alone, but the author's domain is a.example`},
	} {
		if got := notesOn(t, c.message); !slices.Contains(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
	for _, message := range []string{
		from + "Subject: a\r\n\r\nhello\r\n",
		"From: \"a@a.example\" <a@a.example>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nSee: this\r\n",
		"From: =?utf-8?Q?J=C3=BCrgen?= <a@a.example>\r\n\r\n",
	} {
		if got := notesOn(t, message); len(got) > 0 {
			t.Errorf("%q: %q", message, got)
		}
	}
}

// Notes are few and short, and nothing in them reaches a terminal as it came.
func FuzzNotes(f *testing.F) {
	f.Add([]byte("From: \"\x1b[2J@b.example\" <a@xn--vctim-n2e.example>\r\n bad\r\n\r\nFrom: x"))
	f.Add([]byte("From : =?utf-7?Q?a?=\r\n \r\nContent-Type: a/b; boundary=\"From: \x07\"\r\nDKIM-Signature: d=\xff\r\n\r\n"))
	f.Add([]byte(strings.Repeat("x\r\n", 500) + "\r\n"))
	f.Fuzz(func(t *testing.T, message []byte) {
		m, err := mail.Read(mail.Envelope{MailFrom: "a@a.example"}, bytes.NewReader(message), mail.Options{})
		if err != nil {
			return
		}
		defer m.Close()
		all := notesOf(m, filter.Results{Checked: true, Author: m.Author()})
		if len(all) > maxNotes {
			t.Errorf("%d notes", len(all))
		}
		for _, n := range all {
			if len(n) > 2000 || strings.ContainsFunc(n, func(r rune) bool { return r < ' ' || r == 0x7f || strange(string(r)) != "" }) {
				t.Errorf("%q", n)
			}
		}
	})
}
