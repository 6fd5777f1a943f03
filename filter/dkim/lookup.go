package dkim

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"sekimori/filter/dns"
)

// answer is what the DNS has at the name of a key.
type answer struct {
	keys  *published
	fault fault
	panic string // of the resolver, with its stack
}

// maxConcurrent bounds the questions of one message at a time: they go to name
// servers that its sender has chosen, who may never answer.
const maxConcurrent = 4

// ask looks up the keys of all open signatures side by side, each name once.
func ask(ctx context.Context, r Resolver, signatures []*signature) map[string]*answer {
	answers := map[string]*answer{}
	if name, one := onlyName(signatures); one {
		a := lookup(ctx, r, name)
		answers[name] = &a
		return answers
	}
	var group sync.WaitGroup
	places := make(chan struct{}, maxConcurrent)
	for _, s := range signatures {
		if !s.open() || answers[s.Queried] != nil {
			continue
		}
		name, a := s.Queried, new(answer)
		answers[name] = a
		places <- struct{}{}
		group.Go(func() {
			defer func() {
				<-places
				if p := recover(); p != nil {
					a.panic = fmt.Sprintf("%v\n%s", p, debug.Stack())
				}
			}()
			*a = lookup(ctx, r, name)
		})
	}
	group.Wait()
	for _, a := range answers {
		if a.panic != "" {
			panic(a.panic) // it belongs to the caller, who knows what to do
		}
	}
	return answers
}

// onlyName is the name of the key that all open signatures have, if that is one.
func onlyName(signatures []*signature) (name string, one bool) {
	for _, s := range signatures {
		switch {
		case !s.open():
		case name == "":
			name = s.Queried
		case name != s.Queried:
			return "", false
		}
	}
	return name, name != ""
}

// lookup asks for one key (RFC 6376 section 6.1.2). The error's own text stays
// out of the reason: it may hold anything.
func lookup(ctx context.Context, r Resolver, name string) answer {
	if ctx.Err() != nil {
		return answer{fault: fault{TempError, "no time was left to ask for the key at " + name}}
	}
	records, memo, err := dns.Texts(ctx, r, name)
	var e *dns.Error
	switch {
	case err == nil && len(records) > 0:
		return answer{keys: dns.Remember(memo, func() (*published, int) {
			p := readKeys(records)
			return p, p.bytes()
		})}
	case err == nil || errors.As(err, &e) && e.NotFound():
		return answer{fault: permerror("no key at %s", name)}
	case e == nil:
		return answer{fault: fault{TempError, "the key at " + name + " could not be asked for"}}
	case e.Temporary():
		return answer{fault: fault{TempError, fmt.Sprintf("the key at %s could not be asked for: %s", name, e.Outcome)}}
	}
	return answer{fault: permerror("the DNS cannot be asked for the key at %s", name)}
}
