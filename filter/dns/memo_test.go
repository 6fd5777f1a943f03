package dns

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

type parsedA struct{ text string }
type parsedB struct{ text string }

func parsedOf(t *testing.T, c *Cache, name string, made *atomic.Int64) *parsedA {
	t.Helper()
	texts, memo, err := Texts(t.Context(), NewSession(c, 10), name)
	if err != nil {
		t.Fatal(err)
	}
	return Remember(memo, func() (*parsedA, int) {
		made.Add(1)
		return &parsedA{texts[0]}, 500
	})
}

// What is read in an answer is read once, as long as the answer is kept, and
// counted in its memory.
func TestMemo(t *testing.T) {
	au := newAuthority(found("old", 10*time.Second))
	c, k := cacheOf(au, 10)
	var made atomic.Int64
	first := parsedOf(t, c, "q.x", &made)
	before := c.Stats().Bytes
	for range 5 {
		if again := parsedOf(t, c, "q.x", &made); again != first || again.text != "old" {
			t.Errorf("got %+v", again)
		}
	}
	if made.Load() != 1 || c.Stats().Bytes != before || before < entryBytes+500 {
		t.Errorf("made %d times, %d bytes, then %d", made.Load(), before, c.Stats().Bytes)
	}
	_, memo, _ := Texts(t.Context(), NewSession(c, 10), "q.x")
	b := Remember(memo, func() (*parsedB, int) { return &parsedB{"other"}, 10 })
	if b.text != "other" || parsedOf(t, c, "q.x", &made) != first || c.Stats().Bytes != before+10 {
		t.Error("two readers of one answer are in each other's way")
	}
	checkShards(t, c)
	fresh := found("new", 10*time.Second)
	au.says.Store(&fresh)
	k.advance(10 * time.Second)
	if got := parsedOf(t, c, "q.x", &made); got.text != "new" || made.Load() != 2 {
		t.Errorf("after the end of the answer: %+v, made %d times", got, made.Load())
	}
	checkShards(t, c)
}

// Without a cache, and for what is too large, everything is made anew.
func TestMemoNotKept(t *testing.T) {
	texts, memo, err := Texts(t.Context(), NewSession(saying(found("x", time.Hour)), 10), "q.x")
	if err != nil || memo != nil || texts[0] != "x" {
		t.Errorf("%q %v %v", texts, memo, err)
	}
	if texts, memo, err = Texts(t.Context(), plainResolver{}, "q.x"); err != nil || memo != nil || texts[0] != "plain" {
		t.Errorf("%q %v %v", texts, memo, err)
	}
	n := 0
	parse := func() (*parsedA, int) { n++; return &parsedA{}, 10_000 }
	for range 3 {
		Remember(nil, parse)
	}
	c, _ := cacheOf(saying(found("x", time.Hour)), 10)
	for range 3 {
		_, memo, _ := Texts(t.Context(), NewSession(c, 10), "q.x")
		Remember(memo, parse)
	}
	if n != 6 {
		t.Errorf("made %d times, want 6", n)
	}
	checkShards(t, c)
}

type plainResolver struct{}

func (plainResolver) LookupTXT(context.Context, string) ([]string, error) {
	return []string{"plain"}, nil
}

// Memos that come and go beside eviction keep the books right.
func TestMemoUnderLoad(t *testing.T) {
	c, k := cacheOf(&source{answer: func(_ context.Context, q Question) Answer { return found(q.Name, 3*time.Second) }}, 20)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 500 {
				name := fmt.Sprint("n", i%30)
				texts, memo, err := Texts(context.Background(), NewSession(c, 10), name)
				if err != nil || !slices.Equal(texts, []string{name}) {
					t.Error(texts, err)
				}
				a := Remember(memo, func() (*parsedA, int) { return &parsedA{texts[0]}, 300 })
				b := Remember(memo, func() (*parsedB, int) { return &parsedB{strings.ToUpper(texts[0])}, 200 })
				if a.text != name || b.text != strings.ToUpper(name) {
					t.Errorf("%s has %s and %s", name, a.text, b.text)
				}
				if i%50 == 0 {
					k.advance(time.Second)
				}
			}
		})
	}
	wg.Wait()
	checkShards(t, c)
}
