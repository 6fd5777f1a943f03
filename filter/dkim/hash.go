package dkim

import (
	"bytes"
	"hash"
	"io"
	"slices"

	"sekimori/filter/mail"
)

// bodyHash hashes one canonical form of a body, and while it comes by each of
// its beginnings that an l= asks for: no byte is hashed twice.
type bodyHash struct {
	hash  hash.Hash
	size  int64
	cuts  []int64 // lengths yet to come, rising
	sums  map[int64][]byte
	whole []byte
}

func newBodyHash(h hash.Hash, lengths []int64) *bodyHash {
	slices.Sort(lengths)
	b := &bodyHash{hash: h, cuts: slices.Compact(lengths), sums: map[int64][]byte{}}
	b.cut()
	return b
}

// cut takes the sum if the body so far has one of the lengths.
func (b *bodyHash) cut() {
	if len(b.cuts) > 0 && b.cuts[0] == b.size {
		b.sums[b.size] = b.hash.Sum(nil)
		b.cuts = b.cuts[1:]
	}
}

func (b *bodyHash) Write(p []byte) (int, error) {
	n := len(p)
	for len(b.cuts) > 0 && b.cuts[0] <= b.size+int64(len(p)) {
		head := p[:b.cuts[0]-b.size]
		b.add(head)
		b.cut()
		p = p[len(head):]
	}
	b.add(p)
	return n, nil
}

func (b *bodyHash) add(p []byte) {
	b.hash.Write(p) // a hash never gives an error
	b.size += int64(len(p))
}

// hashBody reads a body once and hashes it in every canonical form that the
// signatures ask for.
func hashBody(body io.Reader, newHash func() hash.Hash, signatures []*signature) (map[canonicalization]*bodyHash, error) {
	lengths := map[canonicalization][]int64{}
	for _, s := range signatures {
		all := lengths[s.body]
		if s.length >= 0 {
			all = append(all, s.length)
		}
		lengths[s.body] = all
	}
	sums := map[canonicalization]*bodyHash{}
	var forms []io.WriteCloser
	var writers []io.Writer
	for c, l := range lengths {
		sums[c] = newBodyHash(newHash(), l)
		form := newBody(c, sums[c])
		forms, writers = append(forms, form), append(writers, form)
	}
	if _, err := io.Copy(io.MultiWriter(writers...), body); err != nil {
		return nil, err
	}
	for _, form := range forms {
		if err := form.Close(); err != nil {
			return nil, err
		}
	}
	for _, b := range sums {
		b.whole = b.hash.Sum(nil)
	}
	return sums, nil
}

// index finds the header fields that signatures name, from the bottom up, in one
// step each.
type index struct {
	fields []mail.Field
	ids    map[string]int // by name in lower case
	last   []int          // by id: the lowest field, or -1
	above  []int          // by field: the next one of the same name above it, or -1
}

func newIndex(fields []mail.Field, signatures []*signature) *index {
	x := &index{fields: fields, ids: map[string]int{}, above: make([]int, len(fields))}
	for _, s := range signatures {
		for _, name := range s.Signed {
			if _, known := x.ids[name]; !known {
				x.ids[name] = len(x.last)
				x.last = append(x.last, -1)
			}
		}
	}
	var name []byte
	for i, f := range fields {
		name = appendLower(name[:0], f.Name)
		if id, named := x.ids[string(name)]; named {
			x.above[i], x.last[id] = x.last[id], i
		}
	}
	return x
}

// pick gives the fields that h= selects, in its order. RFC 6376 section 5.4.2:
// a name that repeats takes the next instance above; one without any more is the
// null string. The signature itself is not among them (section 3.7).
func (x *index) pick(s *signature) (fields []mail.Field, size int) {
	next := slices.Clone(x.last)
	fields = make([]mail.Field, 0, len(s.Signed))
	for _, name := range s.Signed {
		id := x.ids[name]
		at := next[id]
		if at == s.field {
			at = x.above[at]
		}
		if at < 0 {
			next[id] = at
			continue
		}
		next[id] = x.above[at]
		fields = append(fields, x.fields[at])
		size += len(x.fields[at].Raw)
	}
	return fields, size
}

// sum hashes the signed fields and then the signature itself with an empty b=
// and without its line end (RFC 6376 section 3.7). ok is false, and nothing was
// hashed, if there is too much of it.
func (x *index) sum(h hash.Hash, s *signature) (sum []byte, ok bool) {
	fields, size := x.pick(s)
	if size > maxSignedBytes {
		return nil, false
	}
	var buf []byte
	for _, f := range fields {
		buf = append(appendField(buf[:0], s.head, f), '\r', '\n')
		h.Write(buf)
	}
	h.Write(appendField(buf[:0], s.head, x.emptied(s)))
	return h.Sum(nil), true
}

// emptied is the signature's field without the value of b=.
func (x *index) emptied(s *signature) mail.Field {
	f := x.fields[s.field]
	name := f.Raw[:bytes.IndexByte(f.Raw, ':')+1]
	f.Raw = slices.Concat(name, []byte(s.text[:s.cut.from]), []byte(s.text[s.cut.to:]))
	f.Value = f.Raw[len(name):]
	return f
}

// appendField appends a field in canonical form, without its line end.
func appendField(dst []byte, c canonicalization, f mail.Field) []byte {
	if c == relaxed {
		return appendRelaxed(dst, f.Name, f.Value)
	}
	return append(dst, bytes.TrimSuffix(f.Raw, []byte("\r\n"))...)
}
