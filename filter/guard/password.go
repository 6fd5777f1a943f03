package guard

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
)

const (
	atOnce    = 2                // hashes that are computed at the same time: each may take a second of a processor
	turnTime  = 5 * time.Second  // to wait for one's turn
	knownTime = 10 * time.Minute // that a right password is not hashed again
	maxSecret = 72               // bytes that bcrypt looks at
)

var errTurn = errors.New("too many passwords are being checked")

// digest stands for a name with its password. Without the process's key nobody
// can tell anything by one.
type digest [sha256.Size]byte

// passwords checks them. Right ones are remembered for a while, for browsers
// send them with each request.
type passwords struct {
	key    [32]byte
	hashes map[string][]byte
	nobody []byte // stands in for the hash of a name that does not exist, so that this takes as long
	turns  chan struct{}

	mu    sync.Mutex
	until map[digest]time.Time // there are as many as users
}

func newPasswords(key [32]byte, users []User) *passwords {
	p := &passwords{key: key, hashes: map[string][]byte{}, turns: make(chan struct{}, atOnce), until: map[digest]time.Time{}}
	for _, u := range users {
		p.hashes[u.Name] = []byte(u.Hash)
		p.nobody = []byte(u.Hash)
	}
	return p
}

func (p *passwords) digest(name, password string) digest {
	mac := hmac.New(sha256.New, p.key[:])
	mac.Write([]byte(name))
	mac.Write([]byte{0})
	mac.Write([]byte(password))
	return digest(mac.Sum(nil))
}

// known tells whether the password was right lately.
func (p *passwords) known(name, password string, now time.Time) bool {
	d := p.digest(name, password)
	p.mu.Lock()
	defer p.mu.Unlock()
	until, ok := p.until[d]
	return ok && now.Before(until)
}

// right takes as long for a name that does not exist as for a wrong password. An
// error says that it was not looked at.
func (p *passwords) right(ctx context.Context, name, password string, now time.Time) (bool, error) {
	limit, cancel := context.WithTimeout(ctx, turnTime)
	defer cancel()
	select {
	case p.turns <- struct{}{}:
		defer func() { <-p.turns }()
	case <-limit.Done():
		return false, errTurn
	}
	hash, exists := p.hashes[name]
	if !exists {
		hash = p.nobody
	}
	whole := len(password) <= maxSecret
	same := bcrypt.CompareHashAndPassword(hash, []byte(password[:min(len(password), maxSecret)])) == nil
	if !exists || !whole || !same {
		return false, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until[p.digest(name, password)] = now.Add(knownTime)
	return true, nil
}
