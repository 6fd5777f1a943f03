package main

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"strings"

	"sekimori/filter"
)

// logRecord writes the one line that a message leaves, made from nothing but
// its Record. Values are JSON strings: hostile bytes stay inside them.
func logRecord(log *slog.Logger, r filter.Record) {
	v, res := r.Verdict, r.Verdict.Results
	attrs := []slog.Attr{
		slog.String("id", r.Envelope.ID),
		slog.String("listener", r.Listener),
		slog.String("client", clientText(r.Envelope.Client)),
		slog.String("helo", r.Envelope.Helo),
		slog.String("mail_from", r.Envelope.MailFrom),
		slog.Any("rcpt_to", r.Envelope.Rcpts),
		slog.String("tls", r.Envelope.TLS.Version),
		slog.Int64("size", r.Size),
		slog.String("upstream", r.Upstream),
		slog.String("outcome", string(r.Outcome)),
		slog.Int("reply_code", r.Reply.Code),
		slog.String("reply", r.Reply.Text),
		slog.Float64("check_seconds", r.Check.Seconds()),
		slog.Float64("total_seconds", r.Total.Seconds()),
	}
	if c := r.Envelope.TLS.Client; c.Fingerprint != "" {
		attrs = append(attrs, slog.Any("tls_client", tlsClient{c.Subject, c.Fingerprint, c.Verified}))
	}
	if r.Judged {
		attrs = append(attrs,
			slog.String("action", v.Enforced().String()),
			slog.String("reason", string(v.Reason)),
			slog.String("shadow", shadow(v)),
			slog.String("tenant", strings.Join(v.Tenants, ",")),
			slog.String("explanation", v.Explanation),
			slog.String("author", string(res.Author.Status)),
			slog.String("author_domain", res.Author.Domain),
			slog.Any("relay", relayOf(res)),
			slog.Any("spf", identity{string(res.SPF.MailFrom.Word), res.SPF.MailFrom.Domain}),
			slog.Any("spf_helo", identity{string(res.SPF.Helo.Word), res.SPF.Helo.Domain}),
			slog.Any("dkim", signatures(res)),
			slog.Any("dmarc", dmarcLine{string(res.DMARC.Word), res.DMARC.PolicyDomain, string(res.DMARC.Effective)}),
			slog.Int("dns_queries", len(res.DNS)),
		)
	}
	level := slog.LevelInfo
	if r.Err != "" {
		level = slog.LevelError
		attrs = append(attrs, slog.String("error", r.Err))
	}
	log.LogAttrs(context.Background(), level, "message", attrs...)
}

func shadow(v filter.Verdict) string {
	if v.Shadow {
		return v.Action.String()
	}
	return ""
}

type tlsClient struct {
	Subject     string `json:"subject"`
	Fingerprint string `json:"fingerprint"`
	Verified    bool   `json:"verified"`
}

// relay is the hop before a trusted relay: whom SPF and iprev are about.
type relay struct {
	Client string `json:"client"`
	Helo   string `json:"helo"`
	Reason string `json:"reason"`
}

// relayOf is nil where the client is no trusted relay.
func relayOf(r filter.Results) *relay {
	switch {
	case !r.Hop.Behind.IsValid():
		return nil
	case r.Hop.Reason != "":
		return &relay{Reason: r.Hop.Reason}
	}
	return &relay{Client: r.Hop.Client.String(), Helo: r.Hop.Helo}
}

type identity struct {
	Result string `json:"result"`
	Domain string `json:"domain"`
}

type signature struct {
	Result   string `json:"result"`
	Domain   string `json:"domain"`
	Selector string `json:"selector"`
}

type dmarcLine struct {
	Result string `json:"result"`
	Domain string `json:"domain"`
	Policy string `json:"policy"`
}

func signatures(r filter.Results) []signature {
	all := []signature{}
	for _, d := range r.DKIM {
		all = append(all, signature{string(d.Word), d.Domain, d.Selector})
	}
	return all
}

// newLog writes JSON lines; level is one of the words that config allows.
func newLog(w io.Writer, level string) *slog.Logger {
	var l slog.LevelVar
	_ = l.UnmarshalText([]byte(level)) // else it stays at info
	return newLevelLog(w, &l)
}

// newLevelLog writes JSON lines from a level that may change.
func newLevelLog(w io.Writer, level *slog.LevelVar) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
}

// clientText is "" for a client without an address, as on a unix socket.
func clientText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
