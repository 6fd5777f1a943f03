package config

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"github.com/pelletier/go-toml/v2/unstable"
)

// decoder reads a document into a Config. Grammar and strings are go-toml's;
// which key goes where is decided here, because its own decoder stops at the
// first value of a wrong type.
type decoder struct {
	doc     []byte
	base    int             // where the parser's input begins in doc
	last    int             // end of the last good expression
	root    table           // the Config
	current *table          // of the last header; nil where that cannot hold keys
	marks   map[string]mark // what has been defined
	values  map[string]span // where the value of a key stands
	faulty  map[string]bool // keys that have a fault already
	broken  bool            // there was a syntax error
	faults  []fault
	more    bool // there are more than maxProblems
}

type fault struct {
	Problem
	span span
}

// table is a part of the Config that holds keys: a struct or a map.
type table struct {
	v    reflect.Value
	path string
}

// mark says how a key was defined (TOML 1.0, "Table"): none may be defined twice.
type mark struct {
	kind markKind
	at   span
}

type markKind int

const (
	passed markKind = iota // by the header of a table below it: its own may follow
	headed                 // by its own header
	dotted                 // by a dotted key: more dotted keys may follow
	listed                 // by [[...]]: more of them may follow
	closed                 // a value or an inline table
)

// part is one word of a dotted key.
type part struct {
	name string
	span span
}

func newDecoder(doc []byte, c *Config) *decoder {
	root := table{v: reflect.ValueOf(c).Elem()}
	return &decoder{
		doc: doc, root: root, current: &root,
		marks: map[string]mark{}, values: map[string]span{}, faulty: map[string]bool{},
	}
}

// document reads all expressions and goes on after syntax errors where it can.
func (d *decoder) document() {
	for more := true; more; {
		var p unstable.Parser
		p.Reset(d.doc[d.base:])
		for !d.more && p.NextExpression() {
			d.expression(p.Expression())
		}
		more = p.Error() != nil && d.syntax(p.Error())
	}
}

func (d *decoder) expression(n *unstable.Node) {
	parts := d.parts(n)
	d.last = parts[len(parts)-1].span.end
	switch n.Kind {
	case unstable.Table, unstable.ArrayTable:
		d.current = d.header(parts, n.Kind == unstable.ArrayTable)
	case unstable.KeyValue:
		d.last = d.span(n.Raw).end
		if d.current != nil {
			d.assign(*d.current, n)
		}
	}
}

func (d *decoder) span(r unstable.Range) span {
	start := d.base + int(r.Offset)
	return span{start, start + int(r.Length)}
}

func (d *decoder) parts(n *unstable.Node) []part {
	var parts []part
	for it := n.Key(); it.Next(); {
		k := it.Node()
		parts = append(parts, part{string(k.Data), d.span(k.Raw)})
	}
	return parts
}

func (d *decoder) fault(key string, s span, format string, args ...any) {
	d.faulty[key] = true
	if len(d.faults) == maxProblems {
		d.more = true
		return
	}
	d.faults = append(d.faults, fault{Problem{Key: key, Message: fmt.Sprintf(format, args...)}, s})
}

// header takes [a.b]; nil if there is no such table or it was there before.
func (d *decoder) header(parts []part, list bool) *table {
	t := d.root
	for i, p := range parts {
		kind := passed
		if i == len(parts)-1 {
			kind = headed
			if field, ok := t.field(p.name); list && ok && isTables(field) {
				return d.add(field, t.join(p.name), p.span)
			}
		}
		below, ok := d.enter(t, p)
		if !ok {
			return nil
		}
		m, seen := d.marks[below.path]
		if seen && (m.kind == closed || kind == headed && m.kind != passed) {
			d.twice(below.path, p.span, m)
			return nil
		}
		if !seen || kind == headed {
			d.marks[below.path] = mark{kind, p.span}
		}
		t = below
	}
	if list {
		d.fault(t.path, parts[len(parts)-1].span, "is one table, not a list of tables: write [%s]", t.path)
	}
	return &t
}

// enter goes down into a table by its name.
func (d *decoder) enter(t table, p part) (table, bool) {
	field, ok := t.field(p.name)
	path := t.join(p.name)
	switch {
	case !ok:
		d.fault(path, p.span, "unknown table%s", suggestion(t, p.name))
	case isTables(field):
		return lastTable(field, path), true
	case !isTable(field):
		d.fault(path, p.span, "holds a value and is no table: write %s = %s", keyText(p.name), literal(field))
	default:
		return table{field, path}, true
	}
	return table{}, false
}

func (d *decoder) twice(key string, s span, m mark) {
	d.fault(key, s, "stands here a second time; the first is on line %d", line(d.doc, m.at.start))
}

// assign takes key = value, within t.
func (d *decoder) assign(t table, n *unstable.Node) {
	parts := d.parts(n)
	for _, p := range parts[:len(parts)-1] {
		below, ok := d.enter(t, p)
		if !ok {
			return
		}
		m, seen := d.marks[below.path]
		if seen && m.kind != dotted {
			d.twice(below.path, p.span, m)
			return
		}
		if !seen {
			d.marks[below.path] = mark{dotted, p.span}
		}
		t = below
	}
	p := parts[len(parts)-1]
	path := t.join(p.name)
	field, ok := t.field(p.name)
	if !ok {
		d.fault(path, p.span, "unknown key%s", suggestion(t, p.name))
		return
	}
	if m, seen := d.marks[path]; seen {
		d.twice(path, p.span, m)
		return
	}
	d.marks[path] = mark{closed, p.span}
	d.values[path] = d.valueSpan(n, p)
	d.set(field, path, n.Value())
	t.keep(p.name, field)
}

// valueSpan is where the value of key = value stands. Lists have no range of
// their own.
func (d *decoder) valueSpan(n *unstable.Node, key part) span {
	s := span{key.span.end, d.span(n.Raw).end}
	for s.start < s.end {
		switch d.doc[s.start] {
		case ' ', '\t', '=':
			s.start++
		default:
			return s
		}
	}
	return s
}

// field finds what a name means; a map takes all names.
func (t table) field(name string) (reflect.Value, bool) {
	if t.v.Kind() == reflect.Map {
		return reflect.New(t.v.Type().Elem()).Elem(), true
	}
	for i := range t.v.NumField() {
		if f := t.v.Type().Field(i); f.IsExported() && f.Tag.Get("toml") == name {
			return t.v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// keep puts a value into a map; a struct has it already.
func (t table) keep(name string, v reflect.Value) {
	if t.v.Kind() != reflect.Map {
		return
	}
	if t.v.IsNil() {
		t.v.Set(reflect.MakeMap(t.v.Type()))
	}
	t.v.SetMapIndex(reflect.ValueOf(name), v)
}

func (t table) join(name string) string {
	if t.path == "" {
		return keyText(name)
	}
	return t.path + "." + keyText(name)
}

// keyText is a key as it would stand in a file.
func keyText(name string) string {
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
		default:
			return strconv.Quote(name)
		}
	}
	if name == "" {
		return `""`
	}
	return name
}

// quote shows text from the file in a message: escaped, and not all of it.
func quote(s string) string { return strconv.Quote(shorten(s, 60)) }

func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-3]) + "..."
	}
	return s
}

// position is where the parser stopped.
func (d *decoder) position(err error) (span, string) {
	var perr *unstable.ParserError
	if !errors.As(err, &perr) {
		return span{d.last, d.last}, err.Error()
	}
	start := min(cap(d.doc)-cap(perr.Highlight), len(d.doc))
	return span{start, start + len(perr.Highlight)}, perr.Message
}
