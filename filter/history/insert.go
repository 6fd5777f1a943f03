package history

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"
)

// columns of sekimori_verdict in the order in which values are written and read.
const columns = "id, at, node, message_id, listener, client, client_key, client_net, helo, mail_from, sender_domain, author_domain," +
	" recipients, recipient_count, size, outcome, action, shadow, reason, tenant, protected, vouched, technique, spf, dkim, dmarc," +
	" reply_code, check_us, total_us"

// insert writes rows with all that belongs to them in one transaction.
func (d *database) insert(ctx context.Context, rows []entry) error {
	return d.change(ctx, func(tx *sql.Tx) error {
		ids, err := d.dialect.nextIDs(ctx, tx, len(rows))
		if err != nil {
			return err
		}
		verdicts := table{head: "INSERT INTO sekimori_verdict (" + columns + ") VALUES ", width: 29}
		details := table{head: "INSERT INTO sekimori_detail (verdict, body) VALUES ", width: 2}
		parties := table{head: "INSERT INTO sekimori_party (kind, name, at, verdict) VALUES ", width: 4}
		for i, e := range rows {
			verdicts.add(e.values(ids[i])...)
			details.add(ids[i], e.detail)
			for k, names := range e.names {
				for _, name := range names {
					parties.add(kinds[k], name, stamp(e.row.At), ids[i])
				}
			}
		}
		for _, t := range []table{verdicts, details, parties, tally(rows)} {
			if err := t.insert(ctx, tx, d.dialect); err != nil {
				return err
			}
		}
		return nil
	})
}

func (e *entry) values(id int64) []any {
	r := &e.row
	return []any{id, stamp(r.At), r.Node, r.MessageID, r.Listener, r.Client, e.key, e.net, r.Helo, r.MailFrom, r.SenderDomain, r.AuthorDomain,
		strings.Join(r.Recipients, " "), int64(r.Rcpts), r.Size, string(r.Outcome), r.Action, r.Shadow, string(r.Reason), strings.Join(r.Tenants, ","),
		r.Protected, number(r.Vouched), r.Technique, r.SPF, r.DKIM, r.DMARC, int64(r.ReplyCode), micros(r.Check), micros(r.Total)}
}

// table is values on their way into one table.
type table struct {
	head, tail string
	width      int // values a row
	values     []any
}

func (t *table) add(values ...any) { t.values = append(t.values, values...) }

// insert sends the values in pieces that both databases take: at most 16,000
// parameters each.
func (t table) insert(ctx context.Context, tx *sql.Tx, d dialect) error {
	for piece := range slices.Chunk(t.values, 16000/t.width*t.width) {
		marks := strings.Repeat(", ("+strings.Repeat(", ?", t.width)[2:]+")", len(piece)/t.width)[2:]
		if _, err := tx.ExecContext(ctx, d.sql(t.head+marks+t.tail), piece...); err != nil {
			return err
		}
	}
	return nil
}

// Bucket is the span of one sum: charts are no finer.
const Bucket = 5 * time.Minute

// tallyKey is what is summed up apart.
type tallyKey struct {
	at                                               int64
	node, protected, outcome, action, shadow, reason string
	vouched                                          int64
}

// tally adds rows to their sums. The keys are in order, and those of a node are
// its own, so that nodes do not wait for each other.
func tally(rows []entry) table {
	sums := map[tallyKey]int64{}
	for _, e := range rows {
		r := &e.row
		at := stamp(r.At)
		sums[tallyKey{at - at%Bucket.Milliseconds(), r.Node, r.Protected, string(r.Outcome), r.Action, r.Shadow, string(r.Reason), number(r.Vouched)}]++
	}
	t := table{
		head: "INSERT INTO sekimori_tally AS t (at, node, protected, outcome, action, shadow, reason, vouched, n) VALUES ",
		tail: " ON CONFLICT (at, node, protected, outcome, action, shadow, reason, vouched) DO UPDATE SET n = t.n + excluded.n", width: 9,
	}
	keys := make([]tallyKey, 0, len(sums))
	for k := range sums {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b tallyKey) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.protected, b.protected), cmp.Compare(a.outcome, b.outcome),
			cmp.Compare(a.action, b.action), cmp.Compare(a.shadow, b.shadow), cmp.Compare(a.reason, b.reason), cmp.Compare(a.vouched, b.vouched))
	})
	for _, k := range keys {
		t.add(k.at, k.node, k.protected, k.outcome, k.action, k.shadow, k.reason, k.vouched, sums[k])
	}
	return t
}
