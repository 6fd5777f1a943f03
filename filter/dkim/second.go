package dkim

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"

	library "github.com/emersion/go-msgauth/dkim"

	"sekimori/filter/dns"
	"sekimori/filter/mail"
)

// Opinion is what another verifier makes of one signature.
type Opinion struct {
	Word   Word
	Reason string // in its own words; "" with Pass
}

// What the library is asked about at the most: beyond these its time grows with
// the square of its input.
const (
	secondMessage    = 1 << 20
	secondHeader     = 64 << 10
	secondSignatures = 5
)

// SecondOpinion asks github.com/emersion/go-msgauth/dkim, a verifier that shares
// no line with ours, for `check`: where the two differ, receivers elsewhere may
// too. It answers for the signatures from the top, at most five, and for none
// of a message over 1 MiB, a header over 64 KiB, or one with bare line ends. It
// decides nothing.
func SecondOpinion(ctx context.Context, r Resolver, m *mail.Message) []Opinion {
	if m.Size() > secondMessage || len(m.Header.Raw) > secondHeader || m.Has(mail.BareNewline) {
		return nil
	}
	raw, err := io.ReadAll(m.Raw()) // the library leaks goroutines where a reader fails
	if err != nil {
		return nil
	}
	found, err := library.VerifyWithOptions(bytes.NewReader(raw), &library.VerifyOptions{
		LookupTXT:        func(name string) ([]string, error) { return secondLookup(ctx, r, name) },
		MaxVerifications: secondSignatures,
	})
	if err != nil && !errors.Is(err, library.ErrTooManySignatures) {
		return nil
	}
	var all []Opinion
	for _, v := range found {
		all = append(all, opinion(v.Err))
	}
	return all
}

func opinion(err error) Opinion {
	switch {
	case err == nil:
		return Opinion{Word: Pass}
	case library.IsTempFail(err):
		return Opinion{TempError, err.Error()}
	case library.IsPermFail(err):
		return Opinion{PermError, err.Error()}
	}
	return Opinion{Fail, err.Error()}
}

// secondLookup gives errors in the one form that the library tells apart: a bare
// *net.DNSError.
func secondLookup(ctx context.Context, r Resolver, name string) ([]string, error) {
	ascii, err := mail.ASCIIDomain(name)
	if err != nil {
		return nil, &net.DNSError{Err: err.Error(), Name: name, IsNotFound: true}
	}
	txt, err := r.LookupTXT(ctx, ascii)
	var de *dns.Error
	if errors.As(err, &de) {
		return nil, &net.DNSError{Err: de.Error(), Name: ascii, IsNotFound: de.NotFound(), IsTemporary: de.Temporary()}
	}
	return txt, err
}
