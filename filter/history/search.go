package history

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Query chooses rows; what is empty chooses all. Domains are compared in the form
// of mail.ASCIIDomain.
type Query struct {
	Sender    string // domain of MAIL FROM or of the author, or the author's organizational domain
	Recipient string // domain
	Client    netip.Prefix
	Outcome   string
	Action    string // that was done
	Shadow    string // action that would have been done
	AnyShadow bool   // only what would have been treated otherwise
	Reason    string
	Tenant    string
	Protected string // domain
	MessageID string
	Node      string
	From, To  time.Time // not before, and before
	After     Cursor    // rows that are older than it
	Limit     int       // rows at most; 0: 50, more than MaxRows: MaxRows
}

// MaxRows is the most that one question gives.
const MaxRows = 500

// Cursor is a place between rows, the newest of which come first. The zero value
// is before all.
type Cursor struct {
	at, id int64
}

// Cursor is the place after the row.
func (r Row) Cursor() Cursor { return Cursor{stamp(r.At), r.ID} }

// String is a word for an address: digits and a hyphen; "" for the zero value.
func (c Cursor) String() string {
	if c == (Cursor{}) {
		return ""
	}
	return fmt.Sprintf("%d-%d", c.at, c.id)
}

// ParseCursor reads what String writes.
func ParseCursor(s string) (Cursor, error) {
	if s == "" {
		return Cursor{}, nil
	}
	a, b, _ := strings.Cut(s, "-")
	at, err1 := strconv.ParseUint(a, 10, 63)
	id, err2 := strconv.ParseUint(b, 10, 63)
	if err1 != nil || err2 != nil {
		return Cursor{}, errors.New("not a place in the history")
	}
	return Cursor{int64(at), int64(id)}, nil
}

// conditions grow into a WHERE.
type conditions struct {
	terms []string
	args  []any
}

func (c *conditions) add(term string, args ...any) {
	c.terms = append(c.terms, term)
	c.args = append(c.args, args...)
}

// equal adds a condition for what is not empty.
func (c *conditions) equal(column, value string) {
	if value != "" {
		c.add(column+" = ?", clip(value, maxPath))
	}
}

func (c *conditions) between(column string, from, to time.Time) {
	if !from.IsZero() {
		c.add(column+" >= ?", stamp(from))
	}
	if !to.IsZero() {
		c.add(column+" < ?", stamp(to))
	}
}

func (c *conditions) where() string {
	if len(c.terms) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.terms, " AND ")
}

// Search gives the newest rows that fit. Each filter but Node has an index; with
// several, one of them leads and the others are looked at row by row, as long as
// a question may take.
func (s *Store) Search(ctx context.Context, q Query) ([]Row, error) {
	db, err := s.open()
	if err != nil {
		return nil, err
	}
	query, args := q.sql()
	var all []Row
	err = db.ask(ctx, query, args, func(r *sql.Rows) error {
		row, err := scanRow(r)
		all = append(all, row)
		return err
	})
	return all, err
}

func (s *Store) open() (*database, error) {
	if !s.Enabled() {
		return nil, ErrOff
	}
	if db := s.db.Load(); db != nil {
		return db, nil
	}
	return nil, ErrUnavailable
}

// sql leads with the name that rows are found by, if there is one: its index has
// them in order.
func (q Query) sql() (string, []any) {
	var c conditions
	from, at, id := "sekimori_verdict v", "v.at", "v.id"
	for i, name := range []string{q.Sender, q.Recipient, q.Tenant} {
		if name == "" {
			continue
		}
		if i < 2 {
			name = domainKey(name)
		}
		if at == "v.at" {
			from, at, id = "sekimori_party p CROSS JOIN sekimori_verdict v", "p.at", "p.verdict"
			c.add("p.kind = ? AND p.name = ? AND v.id = p.verdict", kinds[i], clip(name, maxName))
			continue
		}
		c.add("EXISTS (SELECT 1 FROM sekimori_party o WHERE o.kind = ? AND o.name = ? AND o.at = v.at AND o.verdict = v.id)", kinds[i], clip(name, maxName))
	}
	q.columns(&c)
	c.between(at, q.From, q.To)
	if q.After != (Cursor{}) {
		c.add("("+at+", "+id+") < (?, ?)", q.After.at, q.After.id)
	}
	c.args = append(c.args, int64(q.limit()))
	return "SELECT v." + strings.ReplaceAll(columns, ", ", ", v.") + " FROM " + from + c.where() +
		" ORDER BY " + at + " DESC, " + id + " DESC LIMIT ?", c.args
}

func (q Query) limit() int {
	if q.Limit <= 0 {
		return 50
	}
	return min(q.Limit, MaxRows)
}

// columns adds the conditions on the columns of a row.
func (q Query) columns(c *conditions) {
	c.equal("v.message_id", q.MessageID)
	c.equal("v.outcome", q.Outcome)
	c.equal("v.action", q.Action)
	c.equal("v.reason", q.Reason)
	c.equal("v.node", q.Node)
	if q.Shadow != "" || q.AnyShadow {
		c.add("v.shadow <> ''") // the index is of such rows only
		c.equal("v.shadow", q.Shadow)
	}
	if q.Protected != "" {
		c.add("v.protected <> ''")
		c.equal("v.protected", domainKey(q.Protected))
	}
	switch p := q.Client.Masked(); {
	case !p.IsValid():
	case p.IsSingleIP():
		c.equal("v.client_key", clientKey(p.Addr()))
	default:
		c.add("v.client_key >= ? AND v.client_key <= ?", clientKey(p.Addr()), lastKey(p))
	}
}

func scanRow(r *sql.Rows, more ...any) (Row, error) {
	var row Row
	var at, check, total, vouched int64
	var key, net, rcpts, tenants string
	err := r.Scan(append([]any{&row.ID, &at, &row.Node, &row.MessageID, &row.Listener, &row.Client, &key, &net, &row.Helo, &row.MailFrom,
		&row.SenderDomain, &row.AuthorDomain, &rcpts, &row.Rcpts, &row.Size, &row.Outcome, &row.Action, &row.Shadow, &row.Reason, &tenants,
		&row.Protected, &vouched, &row.Technique, &row.SPF, &row.DKIM, &row.DMARC, &row.ReplyCode, &check, &total}, more...)...)
	row.At, row.Check, row.Total, row.Vouched = unstamp(at), span(check), span(total), vouched != 0
	row.Recipients, row.Tenants = words(rcpts, " "), words(tenants, ",")
	return row, err
}

// Row gives one row with its Detail; false if there is none of that id.
func (s *Store) Row(ctx context.Context, id int64) (Row, bool, error) {
	db, err := s.open()
	if err != nil {
		return Row{}, false, err
	}
	var row Row
	var body string
	query := "SELECT v." + strings.ReplaceAll(columns, ", ", ", v.") + ", d.body FROM sekimori_verdict v" +
		" JOIN sekimori_detail d ON d.verdict = v.id WHERE v.id = ?"
	err = db.ask(ctx, query, []any{id}, func(r *sql.Rows) error {
		row, err = scanRow(r, &body)
		return err
	})
	if err != nil || body == "" {
		return Row{}, false, err
	}
	row.Detail = new(Detail)
	return row, true, json.Unmarshal([]byte(body), row.Detail)
}
