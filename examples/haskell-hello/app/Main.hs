{-# LANGUAGE OverloadedStrings #-}

module Main (main) where

import Data.Text.Lazy (pack)
import System.Environment (lookupEnv)
import Web.Scotty (get, scotty, text)

main :: IO ()
main = do
  port <- maybe 8080 read <$> lookupEnv "PORT"
  name <- maybe "Haskell" id <$> lookupEnv "CC_APP_NAME"
  scotty port $ get "/" $ text $ pack $ "Hello from " ++ name ++ " with Scotty\n"
