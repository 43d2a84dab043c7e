// Go's server: a goroutine for each connection. HTTP is only looked at for where requests end.
package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"time"
)

const blank = "\r\n\r\n"

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println("listening on", listener.Addr())
	serve := echo
	if len(os.Args) > 1 {
		serve = answer
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		go serve(connection)
	}
}

func echo(connection net.Conn) {
	defer connection.Close()
	buffer := make([]byte, 4096)
	for {
		n, err := connection.Read(buffer)
		if err != nil {
			return
		}
		if _, err := connection.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func answer(connection net.Conn) {
	defer connection.Close()
	buffer := make([]byte, 4096)
	held := 0
	for {
		n, err := connection.Read(buffer[held:])
		if err != nil {
			return
		}
		held += n
		count := bytes.Count(buffer[:held], []byte(blank))
		end := bytes.LastIndex(buffer[:held], []byte(blank))
		if count == 0 {
			continue
		}
		held = copy(buffer, buffer[end+len(blank):held])
		date := time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")
		one := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\nDate: " + date + blank + "Hello, World!")
		if _, err := connection.Write(bytes.Repeat(one, count)); err != nil {
			return
		}
	}
}
