module Main (main) where

import Control.Concurrent (forkIO)
import Control.Monad (forever)
import Network.Socket
import System.Environment (lookupEnv)
import System.IO (IOMode (ReadWriteMode), hClose, hGetLine, hPutStr)

main :: IO ()
main = do
  port <- maybe 8080 read <$> lookupEnv "PORT"
  server <- socket AF_INET Stream defaultProtocol
  setSocketOption server ReuseAddr 1
  bind server (SockAddrInet port 0)
  listen server 64
  forever $ do
    (client, _) <- accept server
    forkIO $ do
      handle <- socketToHandle client ReadWriteMode
      _ <- hGetLine handle
      hPutStr handle "HTTP/1.1 200 OK\r\nContent-Length: 20\r\nConnection: close\r\n\r\nHello from plain ghc"
      hClose handle
