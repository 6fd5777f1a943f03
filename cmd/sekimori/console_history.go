package main

import (
	"context"
	"errors"
	"time"

	"sekimori/filter"
	"sekimori/filter/console"
	"sekimori/filter/history"
)

// consoleHistory is the history in the console's words.
type consoleHistory struct{ store *history.Store }

func consoleError(err error) error {
	if errors.Is(err, history.ErrOff) {
		return console.ErrNoHistory
	}
	return err
}

func (h consoleHistory) Counts(ctx context.Context, from, to time.Time, step time.Duration, protected string) ([]console.Count, error) {
	found, err := h.store.Counts(ctx, from, to, step, protected)
	all := make([]console.Count, len(found))
	for i, c := range found {
		all[i] = console.Count{Start: c.Start, Outcome: filter.Outcome(c.Outcome), Action: c.Action, Shadow: c.Shadow, Reason: c.Reason, N: c.N}
	}
	return all, consoleError(err)
}

func (h consoleHistory) Domains(ctx context.Context, from, to time.Time, limit int) ([]console.DomainCount, error) {
	found, err := h.store.Domains(ctx, from, to, limit)
	all := make([]console.DomainCount, len(found))
	for i, d := range found {
		all[i] = console.DomainCount(d)
	}
	return all, consoleError(err)
}

func (h consoleHistory) Domain(ctx context.Context, from, to time.Time, domain string) (console.DomainCount, error) {
	found, err := h.store.Domain(ctx, from, to, domain)
	return console.DomainCount(found), consoleError(err)
}

func (h consoleHistory) Sources(ctx context.Context, q console.SourceQuery) ([]console.Source, error) {
	by := history.ByNetwork
	if q.Envelope {
		by = history.ByEnvelope
	}
	found, err := h.store.Sources(ctx, history.SourceQuery{Protected: q.Domain, By: by, Failing: q.Failing, From: q.From, To: q.To, Limit: q.Limit})
	var all []console.Source
	for _, s := range found {
		all = append(all, console.Source{Name: s.Name, Total: s.Total, Passed: s.Passed, Refused: s.Refused, Last: s.Last})
	}
	return all, consoleError(err)
}

func (h consoleHistory) Search(ctx context.Context, q console.Query) ([]console.Message, error) {
	after, err := history.ParseCursor(q.After)
	if err != nil {
		return nil, err
	}
	found, err := h.store.Search(ctx, history.Query{
		Sender: q.Sender, Recipient: q.Recipient, Client: networkOf(q.Client), Outcome: q.Outcome, Action: q.Action, AnyShadow: q.Shadow,
		Reason: q.Reason, Protected: q.Protected, MessageID: q.MessageID, From: q.From, To: q.To, After: after, Limit: q.Limit,
	})
	var all []console.Message
	for _, r := range found {
		all = append(all, newMessage(r))
	}
	return all, consoleError(err)
}

func (h consoleHistory) Message(ctx context.Context, id int64) (console.Message, bool, error) {
	row, ok, err := h.store.Row(ctx, id)
	if err != nil || !ok {
		return console.Message{}, false, consoleError(err)
	}
	m := newMessage(row)
	if d := row.Detail; d != nil {
		m.Detail = &console.Detail{View: d.View, Reply: d.Reply, Upstream: d.Upstream, TLS: d.TLS, Error: d.Error, Shortened: d.Shortened}
		for _, e := range d.Exchanges {
			m.Detail.Exchanges = append(m.Detail.Exchanges, console.Exchange{
				Purpose: e.Purpose, Question: e.Question, Outcome: e.Outcome, Answer: e.Answer, Server: e.Server, Cached: e.Cached, Seconds: e.Seconds, Error: e.Error,
			})
		}
	}
	return m, true, nil
}

func newMessage(r history.Row) console.Message {
	return console.Message{
		ID: r.ID, Cursor: r.Cursor().String(), At: r.At, MessageID: r.MessageID, Node: r.Node, Listener: r.Listener, Client: r.Client, Helo: r.Helo,
		MailFrom: r.MailFrom, Author: r.AuthorDomain, Recipients: r.Recipients, Rcpts: r.Rcpts, Size: r.Size, Outcome: r.Outcome, Action: r.Action,
		Shadow: r.Shadow, Reason: string(r.Reason), Tenants: r.Tenants, Protected: r.Protected, Technique: r.Technique, SPF: r.SPF, DKIM: r.DKIM,
		DMARC: r.DMARC, ReplyCode: r.ReplyCode, Check: r.Check, Total: r.Total,
	}
}

// historyHealth: rows that are lost are trouble, rows that wait are worth a look.
func historyHealth(s history.Stats) console.Health {
	h := console.Health{Part: "history", State: console.Good, Words: s.LastError}
	switch {
	case !s.Enabled:
		h.State = console.Off
	case !s.Connected:
		h.State = console.Bad
	case s.LastError != "":
		h.State = console.Warn
	}
	return h
}
