// The compiled half of Asio's TLS, as rpc/asio.cpp is that of the rest.
#include <boost/asio/ssl/impl/src.hpp>
