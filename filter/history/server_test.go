package history

import (
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sekimori/testdata/peer"
)

// server is a real PostgreSQL with a directory and a port of its own.
type server struct {
	dir, bin string
	port     int
	as       *syscall.Credential // nil: we are not root
	process  *exec.Cmd
	ended    chan struct{}
}

var shared struct {
	sync.Mutex
	server    *server
	databases int
}

func TestMain(m *testing.M) {
	code := m.Run()
	if s := shared.server; s != nil {
		s.stop()
		os.RemoveAll(s.dir)
	}
	os.Exit(code)
}

// postgresBin is where Debian keeps the newest one's programs; "" if it has none.
func postgresBin() string {
	all, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1]
}

// newServer makes one and starts it.
func newServer(t testing.TB) *server {
	t.Helper()
	bin := postgresBin()
	peer.Require(t, bin != "", "PostgreSQL is not installed (Debian: apt-get install postgresql)")
	dir, err := os.MkdirTemp("", "sekimori-postgres")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{dir: dir, bin: bin, port: freePort(t)}
	if os.Geteuid() == 0 { // as whom it does not start
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		s.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte("secret\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := s.command("initdb", "-D", dir+"/data", "-U", "sekimori", "-A", "scram-sha-256", "--pwfile", password, "-E", "UTF8", "--locale=C.UTF-8", "-N")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	s.start(t)
	return s
}

func freePort(t testing.TB) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (s *server) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(s.bin, name), args...)
	c.Dir = s.dir
	c.SysProcAttr = &syscall.SysProcAttr{Credential: s.as, Pdeathsig: syscall.SIGKILL}
	return c
}

func (s *server) start(t testing.TB) {
	t.Helper()
	s.process = s.command("postgres", "-D", s.dir+"/data", "-k", s.dir, "-p", strconv.Itoa(s.port),
		"-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=30")
	started := make(chan error)
	s.ended = make(chan struct{})
	go func() { // Pdeathsig is of the thread that starts it
		runtime.LockOSThread()
		defer close(s.ended)
		err := s.process.Start()
		started <- err
		if err == nil {
			_ = s.process.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	db := s.admin(t)
	defer db.Close()
	eventually(t, "PostgreSQL answers", func() bool { return db.PingContext(t.Context()) == nil })
}

// stop is at once, as in a crash.
func (s *server) stop() {
	_ = s.process.Process.Signal(syscall.SIGQUIT)
	<-s.ended
}

func (s *server) url(name string) string {
	return fmt.Sprintf("postgres://sekimori:secret@127.0.0.1:%d/%s?sslmode=disable", s.port, name)
}

func (s *server) admin(t testing.TB) *sql.DB {
	db, err := sql.Open("pgx", s.url("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// newURL gives an empty database on the server that all tests share.
func newURL(t testing.TB) string {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		shared.server = newServer(t)
	}
	shared.databases++
	name := fmt.Sprintf("test%d", shared.databases)
	db := shared.server.admin(t)
	defer db.Close()
	if _, err := db.Exec("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	return shared.server.url(name)
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

// A password never stands in an error.
func TestURLErrorsHoldNoPassword(t *testing.T) {
	for _, u := range []string{"postgres://u:hush@db:99999999/x", "postgres://u:hush@[::1/x", "postgres://u:hush@db/x?sslmode=none", "postgres://u:hush@db/x?default_query_exec_mode=hush"} {
		if err := CheckURL(Options{URL: u}); err == nil || strings.Contains(strings.ReplaceAll(err.Error(), "mode=hush", ""), "hush@") {
			t.Errorf("%s: %v", u, err)
		}
	}
}
