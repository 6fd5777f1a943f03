package history

import (
	"context"
	"database/sql"
	"strings"
	"time"
)

// Count is a sum of messages that ended alike. Times are those of Count.Start.
type Count struct {
	Start   time.Time // of the span; whole Buckets
	Outcome string
	Action  string
	Shadow  string
	Reason  string
	N       int64
}

// maxCounts bounds what Counts gives.
const maxCounts = 20000

// Counts sums up [from, to) in spans of step, a multiple of Bucket, by how the
// messages ended, the oldest first; those in the name of one protected domain, or
// of all mail where it is "".
func (s *Store) Counts(ctx context.Context, from, to time.Time, step time.Duration, protected string) ([]Count, error) {
	db, err := s.open()
	if err != nil {
		return nil, err
	}
	ms := max(step.Truncate(Bucket), Bucket).Milliseconds()
	var c conditions
	c.between("at", from, to)
	if protected != "" {
		c.equal("protected", domainKey(protected))
	}
	args := append([]any{ms, ms}, c.args...)
	var all []Count
	err = db.ask(ctx, "SELECT at / ? * ? AS start, outcome, action, shadow, reason, CAST(sum(n) AS BIGINT) FROM sekimori_tally"+c.where()+
		" GROUP BY 1, outcome, action, shadow, reason ORDER BY 1, outcome, action, shadow, reason LIMIT ?", append(args, maxCounts), func(r *sql.Rows) error {
		var one Count
		var at int64
		err := r.Scan(&at, &one.Outcome, &one.Action, &one.Shadow, &one.Reason, &one.N)
		one.Start = unstamp(at)
		all = append(all, one)
		return err
	})
	return all, err
}

// DomainCount sums up the mail that claims to come from a protected domain.
type DomainCount struct {
	Domain  string
	Total   int64
	Passed  int64 // vouched for by the domain
	Failed  int64 // the others that were judged: who sends in its name without its papers
	Refused int64 // answered with our 5xx
	Shadow  int64 // would have been treated otherwise than they were
}

// Domains sums up [from, to) by protected domain, those with the most failures
// first: the most impersonated ones. At most limit, and MaxRows.
func (s *Store) Domains(ctx context.Context, from, to time.Time, limit int) ([]DomainCount, error) {
	var c conditions
	c.add("protected <> ''")
	c.between("at", from, to)
	return s.domains(ctx, c, limit)
}

// Domain sums up [from, to) of one protected domain, however few its failures are.
func (s *Store) Domain(ctx context.Context, from, to time.Time, protected string) (DomainCount, error) {
	key := domainKey(protected)
	var c conditions
	c.add("protected <> ''")
	c.add("protected = ?", key)
	c.between("at", from, to)
	all, err := s.domains(ctx, c, 1)
	if err != nil || len(all) == 0 {
		return DomainCount{Domain: key}, err
	}
	return all[0], nil
}

func (s *Store) domains(ctx context.Context, c conditions, limit int) ([]DomainCount, error) {
	db, err := s.open()
	if err != nil {
		return nil, err
	}
	sum := func(condition string) string {
		return ", CAST(sum(CASE WHEN " + condition + " THEN n ELSE 0 END) AS BIGINT)"
	}
	query := "SELECT protected, CAST(sum(n) AS BIGINT)" + sum("vouched = 1") + sum("vouched = 0 AND action <> ''") + sum("outcome = 'rejected'") +
		sum("shadow <> '' AND shadow <> action") + " FROM sekimori_tally" + c.where() + " GROUP BY protected ORDER BY 4 DESC, 2 DESC, 1 LIMIT ?"
	var all []DomainCount
	err = db.ask(ctx, query, append(c.args, int64(Query{Limit: limit}.limit())), func(r *sql.Rows) error {
		var d DomainCount
		err := r.Scan(&d.Domain, &d.Total, &d.Passed, &d.Failed, &d.Refused, &d.Shadow)
		all = append(all, d)
		return err
	})
	return all, err
}

// By is what sources are told apart by.
type By string

// The closed set.
const (
	ByAddress  By = "client"        // IP address
	ByNetwork  By = "client_net"    // /24 or /48
	ByEnvelope By = "sender_domain" // of MAIL FROM
)

// SourceQuery asks who sends in the name of a protected domain.
type SourceQuery struct {
	Protected string
	By        By
	Failing   bool // only mail that the domain does not vouch for
	From, To  time.Time
	Limit     int // 0: 50
}

// Source is one of them.
type Source struct {
	Name    string // as SourceQuery.By says; "" is the null sender, or a client without address
	Total   int64
	Passed  int64
	Refused int64
	Last    time.Time
	Sampled bool // older mail was not looked at: there are more than sampleRows
}

// sampleRows is how many of a domain's rows are looked at, the newest: what a
// question costs does not grow with the history.
const sampleRows = 20000

// Sources gives who sends most in the name of a domain.
func (s *Store) Sources(ctx context.Context, q SourceQuery) ([]Source, error) {
	db, err := s.open()
	if err != nil {
		return nil, err
	}
	query, args := q.sql()
	var all []Source
	err = db.ask(ctx, query, args, func(r *sql.Rows) error {
		var one Source
		var last, seen int64
		err := r.Scan(&one.Name, &one.Total, &one.Passed, &one.Refused, &last, &seen)
		one.Last, one.Sampled = unstamp(last), seen >= sampleRows
		all = append(all, one)
		return err
	})
	return all, err
}

func (q SourceQuery) sql() (string, []any) {
	by := string(ByAddress)
	for _, one := range [...]By{ByNetwork, ByEnvelope} {
		if q.By == one {
			by = string(one)
		}
	}
	var c conditions
	c.add("protected <> ''")
	c.add("protected = ?", domainKey(q.Protected))
	c.between("at", q.From, q.To)
	having := ""
	if q.Failing {
		having = " WHERE vouched = 0 AND action <> ''"
	}
	query := strings.NewReplacer("{by}", by, "{where}", c.where(), "{having}", having).Replace(
		"WITH sample AS (SELECT {by} AS name, vouched, outcome, action, at FROM sekimori_verdict{where} ORDER BY at DESC, id DESC LIMIT ?)" +
			" SELECT name, count(*), CAST(sum(vouched) AS BIGINT), CAST(sum(CASE WHEN outcome = 'rejected' THEN 1 ELSE 0 END) AS BIGINT)," +
			" max(at), (SELECT count(*) FROM sample) FROM sample{having} GROUP BY name ORDER BY 2 DESC, 1 LIMIT ?")
	return query, append(c.args, int64(sampleRows), int64(Query{Limit: q.Limit}.limit()))
}
