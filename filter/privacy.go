package filter

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"sekimori/filter/dkim"
	"sekimori/filter/dns"
)

// Personal is how much is kept of people's addresses.
type Personal string

// The modes.
const (
	Full   Personal = "full"   // as they came
	Hashed Personal = "hashed" // a keyed hash in place of each local part: the same address, the same hash
	None   Personal = "none"   // "*" in place of each local part
)

// MinPrivacyKey is how many bytes of key hashes need at the least.
const MinPrivacyKey = 32

// Privacy takes people out of Records: the local parts of addresses. Domains,
// host names and IP addresses stay, in every mode: they are of mail servers, and
// what was refused could not be explained without them. Immutable; the nil one
// is Full.
type Privacy struct {
	mode Personal
	key  []byte
	id   string // of the key, so that hashes of different keys are told apart
}

// NewPrivacy makes one. The key is for Hashed alone: who has it can try out
// whether an address is the one behind a hash.
func NewPrivacy(mode Personal, key []byte) (*Privacy, error) {
	if mode == Hashed && len(key) < MinPrivacyKey {
		return nil, errors.New("the key for hashed addresses has less than 32 bytes")
	}
	p := &Privacy{mode: mode, key: key}
	p.id = p.sum("key")[:4]
	return p, nil
}

// sum is HMAC-SHA-256, of which 64 bits are kept.
func (p *Privacy) sum(s string) string {
	h := hmac.New(sha256.New, p.key)
	h.Write([]byte(s))
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Mask gives the Record for those who may not see whose mail it is: the log and
// the history. What strangers have written, and what has been made of addresses
// in ways that cannot be undone for certain, is left out: the explanation of an
// SPF record, which may spell the sender in any way (RFC 7208 section 7), the
// questions to the DNS, and our own header fields. Nothing of r is changed.
func (p *Privacy) Mask(r Record) Record {
	if p == nil || p.mode == Full || p.mode == "" {
		return r
	}
	m := newMasker(p, &r)
	spelt := r.Verdict.Results.SPF.MailFrom.Explanation != "" || r.Verdict.Results.SPF.Helo.Explanation != ""
	m.envelope(&r)
	m.verdict(&r.Verdict)
	m.results(&r.Verdict.Results)
	r.Reply.Text, r.Err = m.text(r.Reply.Text), m.text(r.Err)
	if spelt && (r.Outcome == Rejected || r.Outcome == Deferred) {
		r.Reply.Text = ""
	}
	if spelt {
		r.Verdict.Reply.Text = ""
	}
	return r
}

func (m *masker) envelope(r *Record) {
	e := &r.Envelope
	e.Helo = m.text(e.Helo)
	e.MailFrom = m.address(e.MailFrom)
	e.Rcpts = m.addresses(e.Rcpts)
	e.TLS.Client.Subject = m.text(e.TLS.Client.Subject)
	if m.mode == None {
		e.TLS.Client.Subject = ""
	}
}

func (m *masker) verdict(v *Verdict) {
	v.Explanation = m.text(v.Explanation)
	v.Reply.Text = m.text(v.Reply.Text)
	v.Fault = m.text(v.Fault)
	v.Edit.Prepend = nil
	v.Listing = m.listing(v.Listing)
}

// listing masks whom an entry is about, and what its author wrote.
func (m *masker) listing(l *Listing) *Listing {
	if l == nil {
		return nil
	}
	masked := *l
	e := &masked.Entry
	e.Address, e.Unsafe = m.address(e.Address), m.address(e.Unsafe)
	e.Author, e.Note = m.text(e.Author), m.text(e.Note)
	return &masked
}

func (m *masker) results(r *Results) {
	r.Author.Addresses = m.addresses(r.Author.Addresses)
	r.Author.Reason = m.text(r.Author.Reason)
	r.Shown.Subject = m.text(r.Shown.Subject)
	r.Shown.MessageID = m.address(r.Shown.MessageID)
	if m.mode == None {
		r.Shown.MessageID = ""
	}
	r.Hop.Helo, r.Hop.Reason = m.text(r.Hop.Helo), m.text(r.Hop.Reason)
	r.IPRev.Name, r.IPRev.Reason = m.text(r.IPRev.Name), m.text(r.IPRev.Reason)
	m.spf(r)
	r.Listed = m.listing(r.Listed)
	r.Claims = slices.Clone(r.Claims)
	for i := range r.Claims {
		r.Claims[i].Listing = *m.listing(&r.Claims[i].Listing)
	}
	r.DKIM = slices.Clone(r.DKIM)
	for i := range r.DKIM {
		m.signature(&r.DKIM[i])
	}
	r.DMARC.Record, r.DMARC.Reason = m.text(r.DMARC.Record), m.text(r.DMARC.Reason)
	r.DMARC.Notes = m.texts(r.DMARC.Notes)
	r.DNS = slices.Clone(r.DNS)
	for i := range r.DNS {
		e := &r.DNS[i]
		e.Question.Name = ""
		e.Answer = dns.Answer{Outcome: e.Answer.Outcome, TTL: e.Answer.TTL, Secure: e.Answer.Secure, Cached: e.Answer.Cached, Server: e.Answer.Server}
	}
}

func (m *masker) spf(r *Results) {
	from, helo := &r.SPF.MailFrom, &r.SPF.Helo
	from.Mechanism, from.Reason, from.Explanation = m.text(from.Mechanism), m.text(from.Reason), ""
	helo.Mechanism, helo.Reason, helo.Explanation = m.text(helo.Mechanism), m.text(helo.Reason), ""
}

func (m *masker) signature(d *dkim.Result) {
	d.Reason = m.text(d.Reason)
	if local, domain, _ := strings.Cut(d.Identifier, "@"); local == "" {
		d.Identifier = "@" + m.words(domain)
	} else {
		d.Identifier = m.address(d.Identifier)
	}
}

func (m *masker) texts(all []string) []string {
	masked := make([]string, len(all))
	for i, s := range all {
		masked[i] = m.text(s)
	}
	return masked
}
