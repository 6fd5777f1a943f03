package filter

import (
	"context"
	"net/netip"

	"sekimori/filter/dns"
	"sekimori/filter/mail"
	"sekimori/filter/spf"
)

// Hop is where a message came from that a trusted relay has handed to us. The
// zero value is that of every other message.
type Hop struct {
	Behind netip.Addr // the relay: the client in the Envelope
	Client netip.Addr // the client of the relay, or of the relays; invalid where it cannot be told
	Helo   string     // what it said: hostile, unvalidated; "" where it cannot be told
	Reason string     // plain words why the client cannot be told; "" where it can
}

// maxRelays bounds the Received fields that are looked at.
const maxRelays = 20

// relayed tells whether the client is a trusted relay.
func (f *Filter) relayed(client netip.Addr) bool { return within(f.Relays, client) }

func within(networks []netip.Prefix, a netip.Addr) bool {
	for _, n := range networks {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// hop finds the client of the relays in the Received fields that they wrote, from
// the top, where nobody else can put one. Field by field: the relay that is our
// client wrote the first, and a relay that one names wrote the next. Where the
// operator says that there are more relays, as many fields are taken for theirs
// whatever they name. All that stands below is a stranger's.
func (f *Filter) hop(env mail.Envelope, h *mail.Header) Hop {
	seen := 0
	for i := 0; i < len(h.Fields) && seen < maxRelays; i++ {
		if !h.Fields[i].Is("Received") {
			continue
		}
		r, err := mail.ParseReceived(h.Fields[i].Value)
		if r.Queue && i+1 < len(h.Fields) && h.Fields[i+1].Is("Received") {
			continue // the field right below is of the same host
		}
		seen++
		if seen < f.RelayHops || err == nil && f.relayed(r.Client) {
			continue
		}
		return f.told(env.Client, r, err)
	}
	if seen == 0 || seen < f.RelayHops {
		return hidden(env.Client, "the message has fewer Received fields than there are relays")
	}
	return hidden(env.Client, "the Received fields name nobody but relays")
}

// told takes a field's word for who the client was, if it can be anybody's whom
// SPF has a say about.
func (f *Filter) told(relay netip.Addr, r mail.Received, err error) Hop {
	switch {
	case err != nil:
		return hidden(relay, err.Error())
	case !r.Client.IsValid(): // qmail's hand-over alone
		return hidden(relay, "the Received field names no client")
	case r.Authenticated:
		// Whom the relay knows by a password needs no leave from SPF, and has none.
		return hidden(relay, "its client has logged in there")
	case !public(r.Client):
		return hidden(relay, "its client "+address(r.Client)+" is not of the internet")
	}
	return Hop{Behind: relay, Client: r.Client, Helo: r.Helo}
}

func hidden(relay netip.Addr, why string) Hop {
	return Hop{Behind: relay, Reason: "behind a relay: " + why}
}

// public tells addresses that mail from the internet can come from. RFC 6598:
// 100.64.0.0/10 is shared behind the translators of providers.
func public(a netip.Addr) bool {
	b := a.As16()
	shared := a.Is4() && b[12] == 100 && b[13]&0xc0 == 64
	return a.IsGlobalUnicast() && !a.IsPrivate() && !shared
}

// sender is the client that SPF and iprev are about. It is not valid where a
// relay hides it.
func (r Results) sender(env mail.Envelope) netip.Addr {
	if r.Hop.Behind.IsValid() {
		return r.Hop.Client
	}
	return env.Client
}

// checkSPF never asks about a relay in place of its client: without a client
// the result is none.
func (f *Filter) checkSPF(ctx context.Context, s *dns.Session, env mail.Envelope, hop Hop) spf.Results {
	if !hop.Behind.IsValid() {
		return f.spf().Check(ctx, s, env.Client, env.Helo, env.MailFrom)
	}
	r := f.spf().Check(ctx, s, hop.Client, hop.Helo, env.MailFrom)
	if hop.Reason != "" {
		r.Helo.Reason, r.MailFrom.Reason = hop.Reason, hop.Reason
	}
	return r
}
