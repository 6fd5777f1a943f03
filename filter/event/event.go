// Package event writes the log: one JSON object a line, for each message and for
// each thing that happens to the program, with the names of the Elastic Common
// Schema (ECS) where it has one and with sekimori.* where it has none.
// deploy/log.md is the manual of the fields. A filter.Record goes in, a line comes
// out; Outputs carry lines to files, to syslog (RFC 5424) and to journald, and
// never make anybody wait.
package event

import (
	"net/netip"
	"time"

	"sekimori/filter"
	"sekimori/filter/dkim"
	"sekimori/filter/dmarc"
	"sekimori/filter/dns"
)

// Format makes lines. The zero value is usable.
type Format struct {
	Host string // host.hostname: which of several nodes speaks
}

// Bounds of what a line holds of one message, whatever that brings.
const (
	maxText    = 1000 // bytes of a text
	maxName    = 320  // of an address or a name
	maxFault   = 8000 // of a stack trace
	maxRcpts   = 100  // recipients; all are counted
	maxEntries = 20   // of any other list
)

// Message appends the line of one message with its line feed. It says nothing
// that is not in the Record. What a message does not have, it has no field for.
func (f Format) Message(b []byte, r *filter.Record) []byte {
	level := "info"
	if r.Err != "" || r.Verdict.Fault != "" {
		level = "error"
	}
	o := f.open(b, r.Start.Add(r.Total), level, "sekimori.message")
	o.b = append(o.b, `,"message":"`...)
	o.b = appendSummary(o.b, r)
	o.b = append(o.b, `","event.category":["email"]`...)
	o.transaction(r)
	o.envelope(r)
	if r.Judged {
		o.durations(r)
		o.verdict(&r.Verdict)
		o.results(&r.Verdict.Results)
	}
	o.text("error.message", r.Err)
	o.long("error.stack_trace", r.Verdict.Fault, maxFault)
	return append(o.b, "}\n"...)
}

// open writes what every line begins with: the order is ECS's own.
func (f Format) open(b []byte, at time.Time, level, dataset string) object {
	o := object{b: append(b, `{"@timestamp":"`...)}
	o.b = appendTime(o.b, at)
	o.b = append(o.b, `","log.level":"`...)
	o.b = append(o.b, level...)
	o.b = append(o.b, `","ecs.version":"8.17.0","service.name":"sekimori","event.kind":"event","event.dataset":"`...)
	o.b = append(o.b, dataset...)
	o.b = append(o.b, '"')
	o.name("host.hostname", f.Host)
	return o
}

// appendTime writes RFC 3339 in UTC with microseconds, always as long.
func appendTime(b []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(b, "2006-01-02T15:04:05.000000Z")
}

// appendSummary says the line in words, for people: without an address of
// anybody, and with nothing in it that JSON would escape.
func appendSummary(b []byte, r *filter.Record) []byte {
	b = append(b, r.Outcome...)
	if !r.Judged {
		return appendID(append(b, ", not judged"...), r)
	}
	b = append(b, ": "...)
	b = append(b, r.Verdict.Enforced().String()...)
	b = append(b, ' ')
	b = append(b, r.Verdict.Reason...)
	if r.Verdict.Shadow {
		b = append(b, ", without shadow mode "...)
		b = append(b, r.Verdict.Action.String()...)
	}
	if d := r.Verdict.Results.Author.Domain; d != "" {
		b = append(b, ", author "...)
		b = appendEscaped(b, d, maxName)
	}
	return appendID(b, r)
}

func appendID(b []byte, r *filter.Record) []byte {
	if r.Envelope.Client.IsValid() {
		b = r.Envelope.Client.AppendTo(append(b, ", client "...))
	}
	b = appendEscaped(append(b, " ["...), r.Envelope.ID, maxName)
	return append(b, ']')
}

func (o *object) transaction(r *filter.Record) {
	o.name("event.id", r.Envelope.ID)
	o.b = append(o.b, `,"event.start":"`...)
	o.b = appendTime(o.b, r.Start)
	o.b = append(o.b, `","event.duration":`...)
	o.b = appendInt(o.b, int64(r.Total))
	o.name("event.outcome", success(r.Outcome))
	o.name("sekimori.outcome", string(r.Outcome))
	o.name("sekimori.listener", r.Listener)
	o.name("sekimori.upstream", r.Upstream)
	o.number("sekimori.size", r.Size)
	o.number("sekimori.reply.code", int64(r.Reply.Code))
	o.name("sekimori.reply.enhanced", r.Reply.Enhanced)
	o.text("sekimori.reply.text", r.Reply.Text)
}

// success says in ECS's words whether we did what we are there for: to deliver or,
// just as well, to refuse by verdict.
func success(o filter.Outcome) string {
	switch o {
	case filter.Delivered, filter.Rejected, filter.Deferred, filter.UpstreamRefused:
		return "success"
	case filter.ClientLost:
		return "unknown"
	}
	return "failure"
}

func (o *object) envelope(r *filter.Record) {
	e := &r.Envelope
	o.address("source.ip", e.Client)
	if e.Port != 0 {
		o.number("source.port", int64(e.Port))
	}
	o.name("sekimori.helo", e.Helo)
	o.key("email.sender.address")
	o.b = appendString(o.b, e.MailFrom, maxName)
	o.list("email.to.address", e.Rcpts, maxRcpts)
	o.number("sekimori.recipients", int64(len(e.Rcpts)))
	if e.TLS.Version == "" {
		return
	}
	o.name("tls.version", tlsVersion(e.TLS.Version))
	o.name("tls.cipher", e.TLS.Cipher)
	if c := e.TLS.Client; c.Fingerprint != "" {
		o.name("tls.client.subject", c.Subject)
		o.name("tls.client.hash.sha256", c.Fingerprint)
		o.flag("sekimori.tls.client_verified", c.Verified)
	}
}

// tlsVersion is the number, as ECS wants it.
func tlsVersion(v string) string {
	if len(v) > 3 && v[:3] == "TLS" {
		return v[3:]
	}
	return v
}

func (o *object) verdict(v *filter.Verdict) {
	o.name("event.action", v.Enforced().String())
	o.name("event.reason", string(v.Reason))
	if v.Shadow {
		o.name("sekimori.shadow", v.Action.String())
	}
	o.text("sekimori.explanation", v.Explanation)
	o.list("sekimori.tenant", v.Tenants, maxEntries)
	o.name("sekimori.technique", string(v.Technique()))
	o.name("sekimori.protected", v.Protected)
	o.name("sekimori.customer", customer(v))
	if v.Listing != nil {
		o.name("sekimori.list.name", v.Listing.List)
		o.name("sekimori.list.entry", v.Listing.Entry.String())
	}
}

// customer is whose the protected domain is.
func customer(v *filter.Verdict) string {
	for _, c := range v.Results.Claims {
		if c.Protected == v.Protected {
			return c.Customer
		}
	}
	return ""
}

// durations are in nanoseconds, as ECS counts them.
func (o *object) durations(r *filter.Record) {
	s := &r.Verdict.Results.Stages
	o.number("sekimori.duration.check", int64(r.Check))
	if r.Delivery > 0 {
		o.number("sekimori.duration.delivery", int64(r.Delivery))
	}
	if !r.Verdict.Results.Checked {
		return
	}
	o.number("sekimori.duration.spf", int64(s.SPF))
	o.number("sekimori.duration.dkim", int64(s.DKIM))
	o.number("sekimori.duration.dmarc", int64(s.DMARC))
	o.number("sekimori.duration.dns", int64(s.DNS))
	if s.IPRev > 0 {
		o.number("sekimori.duration.iprev", int64(s.IPRev))
	}
}

func (o *object) address(key string, a netip.Addr) {
	if !a.IsValid() {
		return
	}
	o.key(key)
	o.b = append(a.AppendTo(append(o.b, '"')), '"')
}

func (o *object) results(r *filter.Results) {
	o.author(r)
	if !r.Checked {
		return
	}
	o.relay(r.Hop)
	o.name("sekimori.spf.mailfrom.result", string(r.SPF.MailFrom.Word))
	o.name("sekimori.spf.mailfrom.domain", r.SPF.MailFrom.Domain)
	o.name("sekimori.spf.helo.result", string(r.SPF.Helo.Word))
	o.name("sekimori.spf.helo.domain", r.SPF.Helo.Domain)
	if r.IPRev.Word != "none" {
		o.name("sekimori.iprev.result", string(r.IPRev.Word))
		o.name("sekimori.iprev.name", r.IPRev.Name)
	}
	o.signatures(r)
	o.dmarc(r)
	o.lookups(r.DNS)
}

func (o *object) author(r *filter.Results) {
	o.name("sekimori.author.status", string(r.Author.Status))
	o.name("sekimori.author.domain", r.Author.Domain)
	if len(r.Author.Domains) > 1 {
		o.list("sekimori.author.domains", r.Author.Domains, maxEntries)
	}
	o.list("email.from.address", r.Author.Addresses, maxEntries)
	o.name("email.message_id", r.Shown.MessageID)
	o.text("email.subject", r.Shown.Subject)
}

func (o *object) relay(h filter.Hop) {
	if !h.Behind.IsValid() {
		return
	}
	o.address("sekimori.relay.client", h.Client)
	o.name("sekimori.relay.helo", h.Helo)
	o.text("sekimori.relay.reason", h.Reason)
}

// signatures are objects in a list: what is said of one stays together.
func (o *object) signatures(r *filter.Results) {
	o.key("sekimori.dkim")
	o.b = append(o.b, '[')
	for i, d := range r.DKIM[:min(len(r.DKIM), maxEntries)] {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		one := object{b: append(o.b, `{"result":"`...)}
		one.b = append(append(one.b, d.Word...), '"')
		one.name("domain", d.Domain)
		one.name("selector", d.Selector)
		one.name("algorithm", d.Algorithm)
		if d.KeyBits > 0 {
			one.number("bits", int64(d.KeyBits))
		}
		one.flag("aligned", i < len(r.DMARC.DKIMAligned) && r.DMARC.DKIMAligned[i])
		one.text("reason", d.Reason)
		o.b = append(one.b, '}')
	}
	o.b = append(o.b, ']')
}

func (o *object) dmarc(r *filter.Results) {
	d := &r.DMARC
	o.name("sekimori.dmarc.result", string(d.Word))
	o.name("sekimori.dmarc.domain", d.PolicyDomain)
	o.name("sekimori.dmarc.published", string(d.Policy))
	o.name("sekimori.dmarc.policy", string(d.Effective))
	if d.Word == dmarc.Pass || d.Word == dmarc.Fail {
		o.flag("sekimori.dmarc.spf_aligned", d.SPFAligned)
		o.flag("sekimori.dmarc.dkim_aligned", dkimAligned(r))
	}
	o.text("sekimori.dmarc.reason", d.Reason)
}

// dkimAligned tells whether an aligned signature passes.
func dkimAligned(r *filter.Results) bool {
	for i, aligned := range r.DMARC.DKIMAligned {
		if aligned && i < len(r.DKIM) && r.DKIM[i].Word == dkim.Pass {
			return true
		}
	}
	return false
}

func (o *object) lookups(all []dns.Exchange) {
	cached, failed := 0, 0
	for i := range all {
		if all[i].Answer.Cached {
			cached++
		}
		switch all[i].Answer.Outcome {
		case dns.Found, dns.NoData, dns.NXDomain:
		default:
			failed++
		}
	}
	o.number("sekimori.dns.queries", int64(len(all)))
	o.number("sekimori.dns.cached", int64(cached))
	o.number("sekimori.dns.failed", int64(failed))
}
