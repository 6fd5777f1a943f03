package main

import (
	"context"
	"io"
	"log/slog"

	"sekimori/filter"
)

// logRecord writes the one line that a message leaves, made from nothing but
// its Record. Values are JSON strings: hostile bytes stay inside them.
func logRecord(log *slog.Logger, r filter.Record) {
	v, res := r.Verdict, r.Verdict.Results
	attrs := []slog.Attr{
		slog.String("id", r.Envelope.ID),
		slog.String("client", r.Envelope.Client.String()),
		slog.String("helo", r.Envelope.Helo),
		slog.String("mail_from", r.Envelope.MailFrom),
		slog.Any("rcpt_to", r.Envelope.Rcpts),
		slog.String("tls", r.Envelope.TLS.Version),
		slog.Int64("size", r.Size),
		slog.String("outcome", string(r.Outcome)),
		slog.Int("reply_code", r.Reply.Code),
		slog.String("reply", r.Reply.Text),
		slog.Float64("check_seconds", r.Check.Seconds()),
		slog.Float64("total_seconds", r.Total.Seconds()),
	}
	if r.Judged {
		attrs = append(attrs,
			slog.String("action", v.Enforced().String()),
			slog.String("reason", string(v.Reason)),
			slog.String("shadow", shadow(v)),
			slog.String("explanation", v.Explanation),
			slog.String("author", string(res.Author.Status)),
			slog.String("author_domain", res.Author.Domain),
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
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l}))
}
