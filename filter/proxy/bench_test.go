package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"sekimori/filter"
	"sekimori/filter/mail"
)

// BenchmarkProxy is a message from MAIL to the reply, over loopback and a
// connection that is there, to an MTA that takes everything; nothing is checked.
// Client and MTA count too.
func BenchmarkProxy(b *testing.B) {
	for _, size := range []int{4 << 10, 40 << 10, 400 << 10, 4 << 20} {
		for _, way := range []string{"DATA", "BDAT", "TLS"} {
			b.Run(fmt.Sprintf("%s-%dKB", way, size>>10), func(b *testing.B) { benchmarkProxy(b, way, size) })
		}
	}
}

// BenchmarkLinear is a message by size. What an octet of it costs is to stay the
// same, in one line or in many; of processor time too, which other work on the
// machine and its disk do not lengthen.
func BenchmarkLinear(b *testing.B) {
	for _, size := range []int{1e6, 10e6, 100e6} {
		for name, line := range map[string]string{"text": plainLine, "dots": "..\r\n", "one line": strings.Repeat("x", 1<<10)} {
			b.Run(fmt.Sprintf("%s-%dMB", name, size/1e6), func(b *testing.B) {
				began := processorTime(b)
				benchmarkMessage(b, "DATA", []byte(letterText+strings.Repeat(line, size/len(line))+"\r\n"))
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(size), "ns/octet")
				b.ReportMetric(float64(processorTime(b)-began)/float64(b.N)/float64(size), "cpu-ns/octet")
			})
		}
	}
}

// processorTime is what this process has had so far.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkIdle is what 10,000 connections cost that wait, without the kernel's
// part.
func BenchmarkIdle(b *testing.B) {
	for b.Loop() {
		heap, stack := idle(b, 10_000)
		b.ReportMetric(float64(heap), "heap-B/conn")
		b.ReportMetric(float64(stack), "stack-B/conn")
	}
}

const plainLine = "a line of text as long as most lines of most messages have always been, 78\r\n"

func benchmarkProxy(b *testing.B, way string, size int) {
	benchmarkMessage(b, way, []byte(letterText+strings.Repeat(plainLine, size/len(plainLine))))
}

func benchmarkMessage(b *testing.B, way string, text []byte) {
	s := &Server{
		Hostname: "mx.example",
		Upstream: &Upstream{Address: takesAll(b), Hostname: "mx.example", Reuse: Reuse{Idle: 1}},
		Check:    func(context.Context, *mail.Message) filter.Verdict { return filter.Verdict{Action: filter.Accept} },
		Limits:   Limits{Turns: 1 << 30, MessageSize: 1 << 30},
	}
	if way == "TLS" {
		cert, key, _ := writeCertificate(b, b.TempDir(), "mx.example", 1)
		s.TLS = (&Certificate{CertFile: cert, KeyFile: key}).Config()
	}
	l := listen(b)
	go s.Serve(context.Background(), "bench", l)
	b.Cleanup(func() { s.Shutdown(context.Background()) })
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewReader(c)
	talk := func(octets []byte) {
		if len(octets) > 0 {
			c.Write(octets)
		}
		for more := true; more; {
			line, err := r.ReadString('\n')
			if err != nil || line[0] > '3' {
				b.Fatalf("%q %v", line, err)
			}
			more = line[3] == '-'
		}
	}
	talk(nil)
	if way == "TLS" {
		talk([]byte("STARTTLS\r\n"))
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
		r = bufio.NewReader(c)
	}
	talk([]byte("EHLO client.example\r\n"))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		talk([]byte("MAIL FROM:<a@sender.example>\r\n"))
		talk([]byte("RCPT TO:<b@rcpt.example>\r\n"))
		if way == "BDAT" {
			c.Write(fmt.Appendf(nil, "BDAT %d LAST\r\n", len(text)))
			talk(text)
			continue
		}
		talk([]byte("DATA\r\n"))
		c.Write(text)
		talk([]byte(".\r\n"))
	}
}

func listen(tb testing.TB) net.Listener {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { l.Close() })
	return l
}

// takesAll is an MTA that takes everything and looks at nothing but the end.
func takesAll(tb testing.TB) (address string) {
	l := listen(tb)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go takeAll(c)
		}
	}()
	return l.Addr().String()
}

func takeAll(c net.Conn) {
	defer c.Close()
	r := bufio.NewReaderSize(c, 64<<10)
	io.WriteString(c, "220 mta.example\r\n")
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		switch {
		case bytes.HasPrefix(line, []byte("DATA")):
			io.WriteString(c, "354 go\r\n")
			for string(line) != ".\r\n" {
				if line, err = r.ReadSlice('\n'); err != nil && err != bufio.ErrBufferFull {
					return
				}
			}
			io.WriteString(c, "250 2.0.0 taken\r\n")
		case bytes.HasPrefix(line, []byte("QUIT")):
			return
		default:
			io.WriteString(c, "250 ok\r\n")
		}
	}
}

// BenchmarkContent is the search for the end of a message and its dots.
func BenchmarkContent(b *testing.B) {
	for name, line := range map[string]string{
		"text":       plainLine,
		"dots":       "..\r\n",
		"line ends":  "\r\n",
		"CRs":        "\r\r\r\r",
		"long lines": strings.Repeat("x", 100000) + "\r\n",
	} {
		text := append([]byte(strings.Repeat(line, 1<<20/len(line))), "\r\n.\r\n"...)
		room := make([]byte, 32<<10)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				c := content{from: &blocks{rest: text, whole: true}}
				for err := error(nil); err == nil; {
					_, err = c.Read(room)
				}
			}
		})
	}
}
