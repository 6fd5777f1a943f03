package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"sekimori/filter"
	"sekimori/filter/dkim"
	"sekimori/filter/mail"
)

// signatureNotes tell what signatures leave open, and show those that name no
// domain.
func signatureNotes(m *mail.Message, r filter.Results) []string {
	var all []string
	at := 0
	for _, f := range m.Header.All("DKIM-Signature") {
		if at == len(r.DKIM) || len(all) == maxSame {
			break
		}
		d := r.DKIM[at]
		at++
		if raw := tagValue(f.Value, "d"); d.Domain == "" && len(raw) > 0 {
			all = append(all, noDomainNote(at, f.Value, raw))
		}
		if open := unsigned(m, d); d.Word == dkim.Pass && open != "" {
			all = append(all, fmt.Sprintf("Signature %d, which passes for %s, does not cover %s (h=): anybody may have changed that since", at, d.Domain, open))
		}
	}
	if r.DMARC.Word == "pass" && !r.DMARC.SPFAligned {
		all = append(all, fmt.Sprintf("Only a DKIM signature vouches for %s, and the server that sends is not known to belong to it: so it is with the mail of sending services, with forwarded mail, and with a signed message that somebody sends again to others (replay)", r.Author.Domain))
	}
	return all
}

// noDomainNote tells of a signature that vouches for nobody, whatever it claims.
func noDomainNote(n int, field, d []byte) string {
	if _, err := mail.ASCIIDomain(string(d)); err != nil {
		return fmt.Sprintf("Signature %d vouches for nobody: its d= is no domain name, though other programs may read one out of it: %s", n, quoted(d))
	}
	return fmt.Sprintf("Signature %d vouches for nobody, as it cannot be read: it claims d=%s with the selector s=%s", n, quoted(d), quoted(tagValue(field, "s")))
}

// tagValue is the text of one tag (RFC 6376 section 3.2), whatever it is.
func tagValue(value []byte, name string) []byte {
	for spec := range bytes.SplitSeq(value, []byte(";")) {
		tag, text, ok := bytes.Cut(spec, []byte("="))
		if ok && string(bytes.TrimSpace(tag)) == name {
			return bytes.TrimSpace(text)
		}
	}
	return nil
}

// unsigned names the fields that people see, or that shape what they see, and
// that stand in the message but not in h=.
func unsigned(m *mail.Message, d dkim.Result) string {
	var open []string
	for _, name := range []string{"Subject", "To", "Cc", "Reply-To", "Date", "Content-Type"} {
		if m.Header.Count(name) > 0 && !slices.Contains(d.Signed, strings.ToLower(name)) {
			open = append(open, name)
		}
	}
	return strings.Join(open, ", ")
}

// senderNotes tell of MAIL FROM and EHLO what they do not prove.
func senderNotes(m *mail.Message, r filter.Results) []string {
	var all []string
	from := m.Envelope.MailFrom
	if from != "" && r.DMARC.Word != "pass" && r.SPF.Helo.Word == "pass" && r.SPF.MailFrom.Word != "pass" {
		all = append(all, fmt.Sprintf("SPF passes for the name in EHLO (%s) but not for MAIL FROM: EHLO says nothing of the author", r.SPF.Helo.Domain))
	}
	if from == "" && r.SPF.MailFrom.Word == "pass" && r.DMARC.Word == "fail" {
		all = append(all, fmt.Sprintf("MAIL FROM is empty, as in bounces, and so SPF speaks for the name in EHLO (%s), not for the author's domain", r.SPF.MailFrom.Domain))
	}
	if r.DMARC.Word == "none" && r.Author.Status == mail.AuthorDomain && r.Checked && !vouched(r) {
		all = append(all, fmt.Sprintf("Nothing shows that the message is of %s, and this domain has no DMARC record that would forbid others to write in its name", r.Author.Domain))
	}
	_, author := splitFrom(m)
	local, domain, _ := mail.SplitAddress(from)
	if r.DMARC.Word == "pass" && strings.EqualFold(domain, r.Author.Domain) && author != "" && local != author {
		all = append(all, fmt.Sprintf("MAIL FROM is %s, From is %s, both of %s: SPF, DKIM and DMARC tell that the message is of that domain, not which of its users wrote it",
			quoted([]byte(local)), quoted([]byte(author)), r.Author.Domain))
	}
	return all
}

// vouched tells whether anything passes for the author's very domain.
func vouched(r filter.Results) bool {
	return r.SPF.MailFrom.Word == "pass" && r.SPF.MailFrom.Domain == r.Author.Domain ||
		slices.ContainsFunc(r.DKIM, func(d dkim.Result) bool { return d.Word == dkim.Pass && d.Domain == r.Author.Domain })
}
