/* SPDX-License-Identifier: GPL-2.0-only */
/* What do TCP's flags say? (RFC 9293, 3.1; linux/tcp.h has them as bit fields.) */
#ifndef ROOKERY_TCP_H
#define ROOKERY_TCP_H

enum tcp_flag {
	TCP_FIN = 0x01,
	TCP_SYN = 0x02,
	TCP_RST = 0x04,
	TCP_ACK = 0x10,
};

#endif
